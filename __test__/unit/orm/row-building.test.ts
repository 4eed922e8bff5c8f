// Rows from columns.
import { expect, test } from 'vitest';
import { rowBuilderOf } from '../../../dist/orm/row-building.js';

function buildRows(names: readonly string[], columns: readonly (readonly unknown[])[]): object[] {
  const rows: object[] = [];
  rowBuilderOf(JSON.stringify(names))(columns, columns[0]?.length ?? 0, rows);
  return rows;
}

test('rows have the values of their columns, in the order of the names', () => {
  const rows = buildRows(['b', 'a'], [
    [1, 2],
    ['x', null],
  ]);
  expect(rows).toEqual([
    { b: 1, a: 'x' },
    { b: 2, a: null },
  ]);
  expect(rows.map((row) => Object.keys(row))).toEqual([
    ['b', 'a'],
    ['b', 'a'],
  ]);
});

test('any name is a property of its own, also one that looks like code or a prototype', () => {
  const names = ['__proto__', '"]: 1, evil: (() => { throw 1 })(), ["', 'constructor', '', 'a\u2028b', '`${1}`'];
  const [row] = buildRows(
    names,
    names.map((_, at) => [at]),
  );
  expect(Object.entries(row ?? {})).toEqual(names.map((name, at) => [name, at]));
  expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
});

test('no rows and no columns are no rows', () => {
  expect(buildRows(['a'], [[]])).toEqual([]);
  expect(buildRows([], [])).toEqual([]);
});

test('rows come after those that the list holds', () => {
  const rows: unknown[] = [{ a: 0 }];
  rowBuilderOf('["a"]')([[1, 2]], 2, rows);
  expect(rows).toEqual([{ a: 0 }, { a: 1 }, { a: 2 }]);
});
