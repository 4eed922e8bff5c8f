// Connection URIs: the database that one names, the file of SQLite, and passwords that are not to be seen.
import { expect, test } from 'vitest';
import { maskPassword, sqliteFile, uriOfDatabase } from '../../../dist/orm/database-uri.js';

test.each([
  ['postgres://u:p@h:1/app?sslmode=require', 'postgres://u:p@h:1/new?sslmode=require'],
  ['postgres://u:p/x@h/app', 'postgres://u:p/x@h/new'],
  ['postgres://a:1,b:2', 'postgres://a:1,b:2/new'],
  ['postgres://h/app?dbname=other&user=u', 'postgres://h/new?user=u'],
  ['mysql://u@h/app', 'mysql://u@h/new'],
  ['mongodb://u:p@a:1,b:2/app?replicaSet=r', 'mongodb://u:p@a:1,b:2/new?replicaSet=r&authSource=app'],
  ['mongodb://u:p@h/app?authSource=admin', 'mongodb://u:p@h/new?authSource=admin'],
  ['mongodb://h:1/?replicaSet=r', 'mongodb://h:1/new?replicaSet=r'],
  ['host=h dbname=app user=u', "host=h  user=u dbname='new'"],
  ["host=h dbname='my app'", "host=h dbname='new'"],
])('%s leads to %s', (uri, expected) => {
  expect(uriOfDatabase(uri, 'new')).toBe(expected);
});

test('the name of the database cannot change other parts of the URI', () => {
  expect(uriOfDatabase('postgres://h/a', 'x?host=evil/#')).toBe('postgres://h/x%3Fhost%3Devil%2F%23');
  expect(uriOfDatabase('host=h', "x' host='evil")).toBe(String.raw`host=h dbname='x\' host=\'evil'`);
  expect(() => uriOfDatabase('nonsense', 'x')).toThrow('expected a URI');
});

test.each([
  ['app.db', 'app.db'],
  ['file:///var/a%20b.db?mode=rw', '/var/a b.db'],
  ['sqlite:app.db', 'app.db'],
  ['file:///C:/app.db', 'C:/app.db'],
  [':memory:', null],
  ['sqlite::memory:', null],
  ['file:x?mode=memory', null],
])('the file of %s is %s', (uri, path) => {
  expect(sqliteFile(uri)).toBe(path);
});

test.each([
  ['postgres://u:secret@h:1/db', 'postgres://u:***@h:1/db'],
  ['mongodb://u:p%40ss@a:1,b:2/db?replicaSet=r', 'mongodb://u:***@a:1,b:2/db?replicaSet=r'],
  ['postgres://u:p@ss@h/db', 'postgres://u:***@h/db'],
  ['postgres://u:p/ss@h/db', 'postgres://u:***@h/db'],
  ['postgres://h/db?user=u&password=secret', 'postgres://h/db?user=u&password=***'],
  ['postgres://h/db?user=a@b', 'postgres://h/db?user=a@b'],
  ['mongodb://h/?authMechanismProperties=x&w=1', 'mongodb://h/?authMechanismProperties=***&w=1'],
  ['host=h password=secret dbname=d', 'host=h password=*** dbname=d'],
  ["host=h password = 'se cret' dbname=d", 'host=h password = *** dbname=d'],
  ['/var/lib/app.db', '/var/lib/app.db'],
])('%s is shown as %s', (uri, masked) => {
  expect(maskPassword(uri)).toBe(masked);
});
