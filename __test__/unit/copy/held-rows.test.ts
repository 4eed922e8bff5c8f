// Rows held in memory: written to files and databases, and loaded again.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadFromCsv, loadFromDb, loadFromJson, loadFromSql, writeToCsv, writeToDb, writeToJson, writeToSql } from 'replicaverse';
import type { EntityDeclaration, LoadedRows } from 'replicaverse';
import { afterAll, beforeAll, expect, test } from 'vitest';

const user: EntityDeclaration = { name: 'User', collection: 'users', fields: { name: { type: 'string' }, age: { type: 'number' }, tags: { type: 'array' } } };
const empty: EntityDeclaration = { name: 'Empty', collection: 'empties' };
const data: LoadedRows = new Map([
  ['User', [{ id: '007', name: `a "b", it's\n; -- c`, age: 1.5, on: true }, { id: 'x', name: '', age: null, tags: ['t'] }]],
  ['Empty', []],
]);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'replicaverse-held-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('CSV files hold one entity each, and give texts and numbers back as they were', () => {
  expect(writeToCsv(join(folder, 'csv'), data)).toMatchObject([{ entity: 'User', copied: 2, errors: 0 }, { entity: 'Empty', copied: 0 }]);
  expect(readdirSync(join(folder, 'csv'))).toEqual(['User.csv']);
  const loaded = loadFromCsv(join(folder, 'csv')).get('User');
  expect(loaded).toEqual([
    { id: '007', name: `a "b", it's\n; -- c`, age: 1.5, on: true, tags: null },
    { id: 'x', name: '', age: null, on: null, tags: '["t"]' },
  ]);
  writeFileSync(join(folder, 'semicolon.csv'), '\uFEFFid;n\r\n1;null\r\n2;');
  expect(loadFromCsv(join(folder, 'semicolon.csv'), ';')).toEqual(new Map([['semicolon', [{ id: 1, n: null }, { id: 2, n: null }]]]));
});

test('a JSON file holds all entities', () => {
  const file = join(folder, 'all.json');
  writeToJson(file, data, 'here');
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ source: 'here', date: expect.any(String) });
  expect(loadFromJson(file)).toEqual(data);
  writeFileSync(file, '[{"id": 1}]');
  expect(loadFromJson(file)).toEqual(new Map([['default', [{ id: 1 }]]]));
  writeFileSync(file, '{');
  expect(() => loadFromJson(file)).toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }));
  expect(() => loadFromJson(join(folder, 'none.json'))).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
});

test('a dump holds INSERT statements, whose rows are found by their tables', () => {
  const file = join(folder, 'all.sql');
  writeToSql(file, [user, empty], data, 'a\nDROP TABLE users');
  expect(readFileSync(file, 'utf8')).not.toMatch(/^DROP/m);
  expect(loadFromSql(file).get('users')).toEqual([
    { id: '007', name: `a "b", it's\n; -- c`, age: 1.5, on: 1, tags: null },
    { id: 'x', name: '', age: null, on: null, tags: '["t"]' },
  ]);
  writeFileSync(file, "CREATE TABLE t (a int); INSERT INTO `db`.`t` (`a`, b) VALUES (-1, 'it''s (2)'), (2e3, TRUE); SELECT 1;");
  expect(loadFromSql(file)).toEqual(new Map([['t', [{ a: -1, b: "it's (2)" }, { a: 2000, b: true }]]]));
  writeFileSync(file, 'INSERT INTO t (a) VALUES (now())');
  expect(() => loadFromSql(file)).toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }));
});

test('rows are inserted into a database, and those that are refused are counted', async () => {
  const target = { dialect: 'sqlite', uri: join(folder, 'copy.db'), createTables: true };
  const lines: string[] = [];
  const byTable: LoadedRows = new Map([['users', data.get('User') ?? []]]);
  for (const [from, copied] of [[data, 2], [byTable, 0]] as const) {
    const { stats, disconnect } = await writeToDb(target, [user, empty], from, (line) => lines.push(line));
    expect(stats).toMatchObject([{ entity: 'User', copied, errors: 2 - copied }, { entity: 'Empty', copied: 0, errors: 0 }]);
    await disconnect();
  }
  expect(lines).toHaveLength(2);
  const { data: loaded, disconnect } = await loadFromDb(target, [user, empty], 1);
  expect([...loaded].map(([name, rows]) => [name, rows.length])).toEqual([['User', 2], ['Empty', 0]]);
  await disconnect();
});
