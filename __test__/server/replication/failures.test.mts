// What cannot be copied is counted and named; what stops the run is a typed error; the manager stays usable.
import { chmod } from 'node:fs/promises';
import { ReplicationManager } from 'replicaverse';
import type { IDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
});
afterEach(() => manager.disconnectAll());

async function master(project: string, dialect: Dialect): Promise<string> {
  const uri = await databases.create(dialect);
  await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri }, []);
  return uri;
}

function rule(collections: string[]): void {
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'snapshot', collections, conflictResolution: 'source-wins' });
}

function sql(project: string): IDialect {
  const service = manager.resolveWriteService(project);
  if (!service) throw new Error(`no master in ${project}`);
  return service.dialect;
}

describe('rows that the target refuses', () => {
  it('are counted and named, and the rest goes on', async () => {
    await master('from', 'sqlite');
    await master('to', 'postgres');
    await sql('from').executeRun('CREATE TABLE item (id INTEGER PRIMARY KEY, qty INTEGER)');
    for (let id = 1; id <= 500; id += 1) await sql('from').executeRun('INSERT INTO item VALUES (?, ?)', [id, id % 250 === 0 ? -id : id]);
    await sql('to').executeRun('CREATE TABLE item (id bigint PRIMARY KEY, qty bigint CHECK (qty > 0))');
    rule(['item']);
    const { details, errors, recordsSynced } = await manager.sync('r');
    expect({ errors, recordsSynced }).toEqual({ errors: 2, recordsSynced: 498 });
    expect(details[0]?.failures.map(({ key }) => key).sort()).toEqual(['250', '500']);
    expect(details[0]?.failures[0]?.reason).toContain('qty');
    expect(await sql('to').executeQuery('SELECT count(*)::int AS n FROM item')).toEqual([{ n: 498 }]);
  });

  it('are named by the column whose type they do not fit', async () => {
    await master('from', 'mongodb');
    await master('to', 'postgres');
    const documents = [{ _id: 'a', n: 1 }, { _id: 'b', n: 'many' }];
    await sql('from').executeRun(JSON.stringify({ insert: 'item', documents }));
    await sql('to').executeRun('CREATE TABLE item (id text PRIMARY KEY, n int)');
    rule(['item']);
    const { details } = await manager.sync('r');
    expect(details).toMatchObject([{ created: 1, errors: 1, failures: [{ key: 'b', reason: expect.stringContaining('column "n"') as string }] }]);
  });

  it('only because of a row that is yet to move are written after all', async () => {
    await master('from', 'postgres');
    await master('to', 'postgres');
    for (const project of ['from', 'to']) await sql(project).executeRun('CREATE TABLE person (id int PRIMARY KEY, email text UNIQUE)');
    await sql('from').executeRun("INSERT INTO person VALUES (1, 'b'), (2, 'c'), (4, 'gone')");
    await sql('to').executeRun("INSERT INTO person VALUES (1, 'a'), (2, 'b'), (3, 'gone')");
    rule(['person']);
    expect((await manager.sync('r')).details).toMatchObject([{ created: 1, updated: 2, deleted: 1, errors: 0 }]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });
});

describe.each(['postgres', 'sqlite'] as const)('rows that refer to each other in a circle in %s', (dialect) => {
  it('are deleted together, unless others refer to them', async () => {
    await master('from', 'postgres');
    await master('to', dialect);
    for (const table of ['a', 'b']) await sql('from').executeRun(`CREATE TABLE ${table} (id int PRIMARY KEY, other int)`);
    await sql('to').executeRun(`CREATE TABLE a (id integer PRIMARY KEY, other integer${dialect === 'sqlite' ? ' REFERENCES b' : ''})`);
    await sql('to').executeRun('CREATE TABLE b (id integer PRIMARY KEY, other integer REFERENCES a)');
    if (dialect === 'postgres') await sql('to').executeRun('ALTER TABLE a ADD FOREIGN KEY (other) REFERENCES b');
    for (const table of ['a', 'b']) await sql('from').executeRun(`INSERT INTO ${table} VALUES (1, 1), (2, 2), (3, 3)`);
    rule(['a', 'b']);
    await manager.sync('r');
    for (const table of ['a', 'b']) await sql('from').executeRun(`DELETE FROM ${table} WHERE id = 1`);
    expect((await manager.sync('r')).details).toMatchObject(Array(2).fill({ deleted: 1, skipped: 2, errors: 0 }));
    await sql('to').executeRun('CREATE TABLE mine (a integer REFERENCES a)');
    await sql('to').executeRun('INSERT INTO mine VALUES (2)');
    for (const table of ['a', 'b']) await sql('from').executeRun(`DELETE FROM ${table} WHERE id = 2`);
    expect((await manager.sync('r')).details).toMatchObject(Array(2).fill({ deleted: 0, skipped: 1, errors: 1, failures: [{ key: '2' }] }));
    expect(await sql('to').executeQuery('SELECT id, other FROM a ORDER BY id')).toEqual([{ id: 2, other: 2 }, { id: 3, other: 3 }]);
  });
});

describe('collections that cannot be copied', () => {
  it('are counted when they do not exist, or have no primary key, and the others go on', async () => {
    await master('from', 'postgres');
    await master('to', 'sqlite');
    await sql('from').executeRun('CREATE TABLE good (id int PRIMARY KEY)');
    await sql('from').executeRun('CREATE TABLE keyless (id int)');
    rule(['missing', 'keyless', 'good']);
    const stats = await manager.sync('r');
    expect(stats.errors).toBe(2);
    expect(stats.details).toMatchObject([
      { collection: 'missing', errors: 1, failures: [{ key: '', reason: expect.stringContaining('"missing" does not exist') as string }] },
      { collection: 'keyless', errors: 1, failures: [{ key: '', reason: expect.stringContaining('no primary key') as string }] },
      { collection: 'good', errors: 0 },
    ]);
  });
});

describe('a run that cannot go on', () => {
  it('rejects when the target is read-only, and works once it is not', async () => {
    await master('from', 'postgres');
    await sql('from').executeRun('CREATE TABLE item (id int PRIMARY KEY)');
    await sql('from').executeRun('INSERT INTO item SELECT generate_series(1, 10)');
    const uri = await databases.create('postgres');
    await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'postgres', uri: `${uri}?options=-c%20default_transaction_read_only%3Don` }, []);
    rule(['item']);
    await expect(manager.sync('r')).rejects.toMatchObject({ kind: 'ReadOnly', code: '25006' });
    await manager.removeReplica('to', 'm');
    await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'postgres', uri }, []);
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 10, errors: 0 });
  });

  it('rejects when a SQLite file may not be written', async () => {
    await master('from', 'postgres');
    await sql('from').executeRun('CREATE TABLE item (id int PRIMARY KEY)');
    await sql('from').executeRun('INSERT INTO item VALUES (1)');
    const path = await databases.create('sqlite');
    await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'sqlite', uri: path }, []);
    await sql('to').executeRun('CREATE TABLE item (id INTEGER PRIMARY KEY)');
    await manager.removeReplica('to', 'm');
    await chmod(path, 0o444);
    // Root may write a file whatever its mode, so that the connection is opened read-only too.
    await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'sqlite', uri: `file:${path}?mode=ro`, schemaStrategy: 'none' }, []);
    rule(['item']);
    await expect(manager.sync('r')).rejects.toMatchObject({ kind: 'ReadOnly' });
    expect(manager.getReplicaStatus('to')).toMatchObject([{ status: 'connected' }]);
  });

  it('rejects when the source dies half-way, leaves whole rows only, and is repeated once it is back', async () => {
    const own = await Databases.start();
    try {
      const uri = await own.create('postgres');
      await manager.addReplica('from', { name: 'm', role: 'master', dialect: 'postgres', uri }, []);
      await master('to', 'sqlite');
      await sql('from').executeRun('CREATE TABLE big (id int PRIMARY KEY, t text)');
      await sql('from').executeRun("INSERT INTO big SELECT n, repeat('x', 200) FROM generate_series(1, 200000) n");
      rule(['big']);
      let killed: Promise<unknown> | undefined;
      manager.on('rule.sync.progress', ({ rows }) => {
        if (rows > 0) killed ??= own.postgres.kill();
      });
      await expect(manager.sync('r')).rejects.toMatchObject({ kind: 'Connection', retryable: true });
      await killed;
      manager.removeAllListeners('rule.sync.progress');
      await own.postgres.start();
      expect(await manager.sync('r')).toMatchObject({ errors: 0 });
      expect(await manager.verify('r')).toMatchObject({ equal: true, collections: [{ rows: 200000 }] });
    } finally {
      await own.remove();
    }
  });

  it('names a wrong password without showing it', async () => {
    const uri = new URL(await databases.create('postgres'));
    uri.password = 'wr0ng';
    const replica = { name: 'm', role: 'master', dialect: 'postgres', uri: uri.href } as const;
    const error: unknown = await manager.addReplica('p', replica, []).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'Authentication', code: '28P01' });
    expect(String(error)).not.toContain('wr0ng');
  });
});
