// Named connections: kept by the application, and neither opened nor closed here.
import { clearNamedConnections, getNamedConnection, listNamedConnections, registerNamedConnection, removeNamedConnection } from 'replicaverse';
import type { IDialect } from 'replicaverse';
import { expect, test } from 'vitest';

test('connections are kept under their names until they are removed', () => {
  const [one, other] = [{} as IDialect, {} as IDialect];
  registerNamedConnection('a', one);
  registerNamedConnection('b', other);
  registerNamedConnection('a', other);
  expect(getNamedConnection('a')).toBe(other);
  expect(listNamedConnections()).toEqual(['a', 'b']);
  removeNamedConnection('a');
  expect(getNamedConnection('a')).toBeNull();
  clearNamedConnections();
  expect(listNamedConnections()).toEqual([]);
});

test('what is no connection is refused', () => {
  expect(() => registerNamedConnection('', {} as IDialect)).toThrow('the name of a connection');
  expect(() => registerNamedConnection('a', null as never)).toThrow('expected a dialect');
});
