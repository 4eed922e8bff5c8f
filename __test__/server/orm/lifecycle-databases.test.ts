// Databases created and dropped on running servers and as files, and the default connection from the environment.
import { existsSync } from 'node:fs';
import { clearRegistry, createDatabase, createIsolatedDialect, disconnectDialect, dropDatabase, getCurrentDialectType, getDialect, registerSchema } from 'replicaverse';
import type { IDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { note } from './schemas.js';

const WRONG_NAME = `x"; DROP DATABASE "postgres`;

describe('on postgres', () => {
  let database: Database;
  beforeAll(async () => {
    database = await startDatabase('postgres');
  });
  afterAll(() => database?.stop());

  const namesOf = async (dialect: IDialect) => (await dialect.executeQuery<{ datname: string }>('SELECT datname FROM pg_database')).map(({ datname }) => datname);

  test.each(['plain', 'Ünïcode name', WRONG_NAME, 'select'])('%s is created once, and dropped with its sessions', async (name) => {
    const admin = await database.connect([]);
    expect(await createDatabase('postgres', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" created` });
    expect(await createDatabase('postgres', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" already exists` });
    expect(await namesOf(admin)).toContain(name);
    const uri = new URL(database.uri);
    uri.pathname = `/${encodeURIComponent(name)}`;
    const inside = await createIsolatedDialect({ dialect: 'postgres', uri: uri.href }, [note]);
    expect(await dropDatabase('postgres', uri.href, name)).toEqual({ ok: true, detail: `Database "${name}" dropped` });
    expect(await namesOf(admin)).not.toContain(name);
    expect(await dropDatabase('postgres', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" does not exist (already dropped)` });
    await inside.disconnect();
  });

  test("the server's own database and names that would be cut are refused", async () => {
    expect(await dropDatabase('postgres', database.uri, 'postgres')).toMatchObject({ ok: false, error: expect.stringContaining("server's own") });
    expect(await createDatabase('postgres', database.uri, 'x'.repeat(64))).toMatchObject({ ok: false, error: expect.stringContaining('63 bytes') });
    expect(await createDatabase('postgres', database.uri, '')).toMatchObject({ ok: false });
  });

  test('a server that is not there is told without the password', async () => {
    const outcome = await createDatabase('postgres', 'postgres://u:hunter2@127.0.0.1:1/x', 'y');
    expect(outcome.ok).toBe(false);
    expect(outcome.error).not.toContain('hunter2');
  });
});

describe('on mariadb', () => {
  let database: Database;
  beforeAll(async () => {
    database = await startDatabase('mariadb');
  });
  afterAll(() => database?.stop());

  const namesOf = async (dialect: IDialect) => (await dialect.executeQuery<{ Database: string }>('SHOW DATABASES')).map(({ Database: name }) => name);

  test.each(['plain', 'Ünïcode name', 'x`; DROP DATABASE `app', 'select', 'é'.repeat(32)])('%s is created once, and dropped with what is in it', async (name) => {
    const admin = await database.connect([]);
    expect(await createDatabase('mariadb', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" created` });
    expect(await createDatabase('mariadb', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" already exists` });
    expect(await namesOf(admin)).toEqual(expect.arrayContaining([name, 'app']));
    const uri = new URL(database.uri);
    uri.pathname = `/${encodeURIComponent(name)}`;
    const inside = await createIsolatedDialect({ dialect: 'mariadb', uri: uri.href }, [note]);
    await inside.create(note, { id: '1' });
    expect(await dropDatabase('mariadb', uri.href, name)).toEqual({ ok: true, detail: `Database "${name}" dropped` });
    expect(await namesOf(admin)).not.toContain(name);
    expect(await namesOf(admin)).toContain('app');
    expect(await dropDatabase('mariadb', database.uri, name)).toEqual({ ok: true, detail: `Database "${name}" does not exist (already dropped)` });
    await inside.disconnect();
  });

  test('names that differ only by case are different databases', async () => {
    expect(await createDatabase('mariadb', database.uri, 'cased')).toMatchObject({ ok: true });
    expect(await dropDatabase('mariadb', database.uri, 'CASED')).toMatchObject({ ok: true, detail: expect.stringContaining('does not exist') });
    expect(await createDatabase('mariadb', database.uri, 'CASED')).toEqual({ ok: true, detail: 'Database "CASED" created' });
    expect(await dropDatabase('mariadb', database.uri, 'cased')).toEqual({ ok: true, detail: 'Database "cased" dropped' });
    expect(await dropDatabase('mariadb', database.uri, 'CASED')).toEqual({ ok: true, detail: 'Database "CASED" dropped' });
  });

  test("the server's own databases and names that are too long are refused", async () => {
    for (const own of ['mysql', 'MySQL', 'information_schema', 'sys']) {
      expect(await dropDatabase('mariadb', database.uri, own)).toMatchObject({ ok: false, error: expect.stringContaining("server's own") });
    }
    expect(await createDatabase('mariadb', database.uri, 'x'.repeat(65))).toMatchObject({ ok: false, error: expect.stringContaining('64 bytes') });
    expect(await createDatabase('mariadb', database.uri, '')).toMatchObject({ ok: false });
  });

  test('a server that is not there is told without the password', async () => {
    const outcome = await createDatabase('mariadb', 'mariadb://u:hunter2@127.0.0.1:1/x', 'y');
    expect(outcome.ok).toBe(false);
    expect(outcome.error).not.toContain('hunter2');
  });
});

describe('on mongodb', () => {
  let database: Database;
  beforeAll(async () => {
    database = await startDatabase('mongodb');
  });
  afterAll(() => database?.stop());

  test('a database comes with its first write, and is dropped', async () => {
    expect(await createDatabase('mongodb', database.uri, 'fresh')).toEqual({ ok: true, detail: 'MongoDB: auto-created on first write' });
    const uri = new URL(database.uri);
    uri.pathname = '/fresh';
    const inside = await createIsolatedDialect({ dialect: 'mongodb', uri: uri.href }, [note]);
    await inside.create(note, { id: '1' });
    expect(await dropDatabase('mongodb', database.uri, 'fresh')).toEqual({ ok: true, detail: 'MongoDB database dropped' });
    expect(await inside.count(note)).toBe(0);
    await inside.disconnect();
    expect(await dropDatabase('mongodb', database.uri, 'admin')).toMatchObject({ ok: false });
    expect(await dropDatabase('mongodb', database.uri, 'a/b')).toMatchObject({ ok: false });
  });
});

describe('on sqlite', () => {
  let database: Database;
  beforeAll(async () => {
    database = await startDatabase('sqlite');
  });
  afterAll(() => database?.stop());
  afterEach(async () => {
    await disconnectDialect();
    clearRegistry();
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  test('a file is made, and removed with those beside it', async () => {
    const path = `${database.uri}.made`;
    expect(await createDatabase('sqlite', path, '')).toEqual({ ok: true, detail: 'sqlite: file auto-created' });
    expect(existsSync(path)).toBe(true);
    const open = await createIsolatedDialect({ dialect: 'sqlite', uri: path }, [note]);
    await open.create(note, { id: '1' });
    expect(await dropDatabase('sqlite', `file:${path}`, '')).toEqual({ ok: true, detail: `SQLite file "file:${path}" deleted` });
    for (const suffix of ['', '-wal', '-shm', '-journal']) expect(existsSync(path + suffix)).toBe(false);
    await open.disconnect();
    expect(await dropDatabase('sqlite', path, '')).toMatchObject({ ok: true, detail: expect.stringContaining('already dropped') });
    expect(await dropDatabase('sqlite', ':memory:', '')).toEqual({ ok: true, detail: 'sqlite :memory: — nothing to drop' });
  });

  test('the environment gives the default connection, which makes the tables of schemas that come later', async () => {
    vi.stubEnv('MOSTA_ENV', 'TEST');
    vi.stubEnv('TEST_DB_DIALECT', 'sqlite');
    vi.stubEnv('SGBD_URI', `${database.uri}.environment`);
    vi.stubEnv('DB_SCHEMA_STRATEGY', 'update');
    vi.stubEnv('DB_TABLE_PREFIX', 'env_');
    vi.stubEnv('DB_SHOW_SQL', 'true');
    const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const [first, second] = await Promise.all([getDialect(), getDialect()]);
    expect(second).toBe(first);
    expect(getCurrentDialectType()).toBe('sqlite');
    registerSchema(note);
    const dialect = await getDialect();
    await dialect.create(note, { id: '1' });
    expect(await dialect.executeQuery('SELECT id FROM env_notes')).toEqual([{ id: '1' }]);
    expect(printed.mock.calls.flat().join('\n')).toContain('INSERT INTO "env_notes"');
  });

  test('a default connection that fails is tried again', async () => {
    await expect(getDialect({ dialect: 'sqlite', uri: '/nowhere/at/all.db' })).rejects.toMatchObject({ name: 'ReplicaverseError' });
    expect(await (await getDialect({ dialect: 'sqlite', uri: ':memory:' })).testConnection()).toBe(true);
  });
});

test('what has no databases to create says so', async () => {
  expect(await createDatabase('oracle', 'x', 'y')).toMatchObject({ ok: false, error: expect.stringContaining('registerDialect') });
  expect(await dropDatabase('dbase', 'x', 'y')).toMatchObject({ ok: false, error: expect.stringContaining('Unknown dialect "dbase"') });
});
