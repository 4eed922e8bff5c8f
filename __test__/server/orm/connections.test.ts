// Connections: schema strategies, statements of the database's own language, and the default connection.
import { clearRegistry, createConnection, createIsolatedDialect, disconnectDialect, getDialect, getSchema, registerSchema, testConnection } from 'replicaverse';
import type { ConnectionConfig, IDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { note, person } from './schemas.js';

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    clearRegistry();
    await disconnectDialect();
  });
  afterAll(() => database?.stop());

  const config = (rest: Partial<ConnectionConfig>): ConnectionConfig => ({ dialect, uri: database.uri, ...rest });

  test('the connection knows its dialect and answers until it is closed', async () => {
    const db = await database.connect([]);
    expect(db.dialectType).toBe(dialect);
    expect(await db.testConnection()).toBe(true);
    await db.disconnect();
    await db.disconnect();
    expect(await db.testConnection()).toBe(false);
    await expect(db.find(note)).rejects.toMatchObject({ kind: 'Closed', code: 'ERR_CLOSED' });
  });

  test('testConnection says that it works', async () => {
    expect(await testConnection(config({}))).toEqual({ ok: true });
  });

  test('validate refuses a database without the tables, by name', async () => {
    await expect(createIsolatedDialect(config({ schemaStrategy: 'validate', tablePrefix: 'v_' }), [note])).rejects.toMatchObject({
      message: expect.stringContaining('Schema validation failed: table "v_notes" does not exist'),
    });
  });

  test('update keeps the rows, create drops them, and create-drop drops the tables at the end', async () => {
    const tablePrefix = 's_';
    const open = (schemaStrategy: ConnectionConfig['schemaStrategy']) =>
      createIsolatedDialect(config({ tablePrefix, schemaStrategy }), [note]);
    const first = await open('update');
    await first.create(note, { id: '1' });
    await first.disconnect();
    const second = await open('update');
    expect(await second.count(note)).toBe(1);
    await second.disconnect();
    const third = await open('create');
    expect(await third.count(note)).toBe(0);
    await third.disconnect();
    await (await open('create-drop')).disconnect();
    await expect(open('validate')).rejects.toThrow('does not exist');
  });

  test('without schemas the registered ones are used', async () => {
    registerSchema(note);
    const db = await createIsolatedDialect(config({ tablePrefix: 'r_' }));
    await db.create(getSchema('Note'), { id: '1' });
    expect(await db.count(getSchema('Note'))).toBe(1);
    await db.disconnect();
  });

  test('the default connection is one for the process, and one to another place takes its place', async () => {
    const first = await createConnection(config({ tablePrefix: 'd_' }), [note]);
    expect(await getDialect()).toBe(first);
    expect(getSchema('Note')).toBeDefined();
    const second = await createConnection(config({ tablePrefix: 'e_' }), [note]);
    expect(await getDialect()).toBe(second);
    expect(await first.testConnection()).toBe(false);
    await disconnectDialect();
    await expect(getDialect()).rejects.toThrow('there is no default connection');
    expect(await second.testConnection()).toBe(false);
  });

  test('a default connection to the same place is given again, with the tables of new schemas', async () => {
    const first = await createConnection(config({ tablePrefix: 'd_' }), [note]);
    await first.create(note, { id: '1' });
    expect(await createConnection(config({ tablePrefix: 'd_', schemaStrategy: 'create' }), [person])).toBe(first);
    expect(await first.count(note)).toBe(1);
    await first.create(person, { name: 'x' });
    await first.disconnect();
    const anew = await createConnection(config({ tablePrefix: 'd_' }), [note]);
    expect(anew).not.toBe(first);
    await anew.count(note);
  });

  test('a connection that cannot be made leaves the former default in place', async () => {
    const first = await createConnection(config({ tablePrefix: 'd_' }));
    await expect(createConnection(config({ schemaStrategy: 'validate', tablePrefix: 'none_' }), [note])).rejects.toThrow();
    expect(await getDialect()).toBe(first);
  });

  test('showSql prints each statement of this connection, without its values, and of no other', async () => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const loud = await createIsolatedDialect(config({ tablePrefix: 'p_', showSql: true }), [note]);
    const quiet = await createIsolatedDialect(config({ tablePrefix: 'p_' }), [note]);
    printed.mockClear();
    await Promise.all([loud.find(note, { title: 'a secret' }), quiet.count(note)]);
    const statements = printed.mock.calls.map(([statement]) => String(statement));
    expect(statements).toHaveLength(1);
    expect(statements[0]).toMatch(/p_notes/);
    expect(statements[0]).not.toContain('secret');
    await Promise.all([loud.disconnect(), quiet.disconnect()]);
  });

  test('the names of the tables can be asked for', async () => {
    const db = await createIsolatedDialect(config({ tablePrefix: 'l_' }), [note, person]);
    await db.create(note, { id: '1' });
    await db.create(person, { name: 'x' });
    const statement = (db as IDialect & { getTableListQuery(): string }).getTableListQuery();
    const tables = await db.executeQuery<{ name: string }>(statement, []);
    expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(['l_notes', 'l_people']));
    await db.disconnect();
  });

  test('a prefix stands before every table', async () => {
    const db = await createIsolatedDialect(config({ tablePrefix: 'pre_' }), [person]);
    await db.create(person, { name: 'x' });
    if (dialect === 'mongodb') {
      const found = await db.executeQuery<{ n: number }>(JSON.stringify({ count: 'pre_people' }));
      expect(found).toEqual([expect.objectContaining({ n: 1 })]);
    } else {
      expect(await db.executeQuery('SELECT count(*) AS n FROM pre_people')).toEqual([{ n: 1 }]);
    }
    await db.disconnect();
  });

  if (dialect === 'mongodb') {
    test('a command of its own language is JSON text', async () => {
      const db = await database.connect([]);
      const insert = JSON.stringify({ insert: 'raw', documents: [{ _id: 1, n: 5 }, { _id: 2, n: 6 }] });
      expect(await db.executeRun(insert)).toEqual({ changes: 2 });
      const rows = await db.executeQuery(JSON.stringify({ find: 'raw', filter: { n: { $gt: 5 } } }));
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({ n: 6 });
      await expect(db.executeQuery(JSON.stringify({ nonsense: 1 }))).rejects.toMatchObject({ name: 'ReplicaverseError' });
    });
  } else {
    test('statements of its own language take parameters and give rows or the number of changes', async () => {
      const db = await database.connect([]);
      const [first, second] = dialect === 'postgres' ? ['$1', '$2'] : ['?', '?'];
      await db.executeRun('DROP TABLE IF EXISTS raw');
      await db.executeRun('CREATE TABLE raw (n BIGINT, t TEXT)');
      expect(await db.executeRun(`INSERT INTO raw VALUES (${first}, ${second}), (2, 'b')`, [2n ** 60n, "it's"])).toEqual({ changes: 2 });
      expect(await db.executeQuery('SELECT n, t FROM raw ORDER BY n')).toEqual([
        { n: 2, t: 'b' },
        { n: 2n ** 60n, t: "it's" },
      ]);
      expect(await db.executeRun('DELETE FROM raw WHERE n = 3')).toEqual({ changes: 0 });
    });

    test('a wrong statement tells what the database says', async () => {
      const db = await database.connect([]);
      const failure: unknown = await db.executeQuery('SELEC 1').catch((error: unknown) => error);
      expect(failure).toMatchObject({ name: 'ReplicaverseError', kind: 'Statement', retryable: false });
      if (dialect === 'postgres') expect(failure).toMatchObject({ code: '42601', severity: 'ERROR', position: '1' });
    });
  }
});

test('a unique violation on PostgreSQL has the fields that node-postgres gives', async () => {
  const database = await startDatabase('postgres');
  try {
    const db = await database.connect([person]);
    await db.create(person, { id: '1', name: 'x' });
    await expect(db.create(person, { id: '1', name: 'y' })).rejects.toMatchObject({
      code: '23505',
      severity: 'ERROR',
      detail: expect.stringContaining('(id)=(1)'),
      table: expect.stringContaining('people'),
      constraint: expect.stringContaining('pkey'),
      schema: 'public',
    });
  } finally {
    await database.stop();
  }
});

test('documents of MongoDB keep what JSON would lose', async () => {
  const database = await startDatabase('mongodb');
  try {
    const db = await database.connect([person]);
    const profile = { at: new Date(1), bytes: Buffer.from([0, 255]), big: 2n ** 60n, nan: NaN, list: [new Date(-1), -Infinity] };
    const row = await db.create(person, { name: 'x', profile });
    expect(row.profile).toStrictEqual(profile);
    expect((await db.findById(person, row.id))?.profile).toStrictEqual(profile);
  } finally {
    await database.stop();
  }
});

test('arguments of a wrong type are named', async () => {
  const database = await startDatabase('sqlite');
  try {
    const db = await database.connect([]);
    const wrong = (value: unknown) => value as never;
    await expect(db.executeQuery(wrong(5))).rejects.toMatchObject({ message: expect.stringContaining('statement: expected a string') });
    await expect(db.beginTx({ isolation: wrong(5) })).rejects.toMatchObject({ message: expect.stringContaining('isolation: expected a string') });
    await expect(db.initSchema(wrong({}))).rejects.toMatchObject({ kind: 'Schema' });
    await expect(db.create(note, wrong('text'))).rejects.toMatchObject({ message: 'data: expected an object, found a string' });
  } finally {
    await database.stop();
  }
});
