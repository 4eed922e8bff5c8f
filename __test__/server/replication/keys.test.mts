// Primary keys across databases: two rows never become one, and rows of others are never touched.
import { MongoClient } from 'mongodb';
import { ReplicationManager } from 'replicaverse';
import type { IDialect, SyncStats } from 'replicaverse';
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

/** Connects both ends, runs the statements at the source and gives the URIs. */
async function ends(from: Dialect, to: Dialect, ...statements: string[]): Promise<{ from: string; to: string }> {
  const uris = { from: await databases.create(from), to: await databases.create(to) };
  await manager.addReplica('from', { name: 'm', role: 'master', dialect: from, uri: uris.from }, []);
  await manager.addReplica('to', { name: 'm', role: 'master', dialect: to, uri: uris.to }, []);
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'snapshot', collections: ['*'] });
  for (const statement of statements) await sql('from').executeRun(statement);
  return uris;
}

function sql(project: string): IDialect {
  const service = manager.resolveWriteService(project);
  if (!service) throw new Error(`no master in ${project}`);
  return service.dialect;
}

function detail({ details: [first] }: SyncStats): SyncStats['details'][number] {
  if (!first) throw new Error('no collection was copied');
  return first;
}

describe('two keys that the target cannot tell apart', () => {
  it('are reported, whether they fall together by milliseconds, by type or by leading zeros', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (at timestamptz PRIMARY KEY)', "INSERT INTO t VALUES ('2024-01-01 00:00:00.000100Z'), ('2024-01-01 00:00:00.000200Z')");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, errors: 2 });
  });

  it('are one row and one failure when they are text and number in MongoDB', async () => {
    const { from } = await ends('mongodb', 'postgres');
    const client = await MongoClient.connect(from);
    await client.db().collection<{ _id: string | number; v: string }>('t').insertMany([{ _id: 1, v: 'number' }, { _id: '1', v: 'text' }]);
    await client.close();
    const first = detail(await manager.sync('r'));
    expect(first.created + first.errors).toBe(2);
    expect(first.errors).toBeGreaterThan(0);
  });

  it('are refused when their digits would change', async () => {
    await ends('postgres', 'sqlite', 'CREATE TABLE t (id text PRIMARY KEY)', "INSERT INTO t VALUES ('701'), ('0701')");
    await sql('to').executeRun('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1, errors: 1, failures: [{ key: '0701' }] });
  });
});

describe('a source', () => {
  it('whose rows are hidden by row-level security does not empty the target', async () => {
    const uris = await ends('postgres', 'sqlite', 'CREATE TABLE t (id int PRIMARY KEY)', 'INSERT INTO t VALUES (1)');
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1 });
    const role = `reader_${String(process.pid)}`;
    for (const statement of [`CREATE ROLE ${role} LOGIN PASSWORD 'reader'`, `GRANT SELECT ON t TO ${role}`, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY']) await sql('from').executeRun(statement);
    await manager.removeReplica('from', 'm');
    const uri = Object.assign(new URL(uris.from), { username: role, password: 'reader' }).href;
    await manager.addReplica('from', { name: 'm', role: 'master', dialect: 'postgres', uri, schemaStrategy: 'none' }, []);
    expect(detail(await manager.sync('r'))).toMatchObject({ deleted: 0, errors: 1, failures: [{ key: '', reason: expect.stringContaining('row-level security') as string }] });
    expect(await sql('to').executeQuery('SELECT id FROM t')).toEqual([{ id: 1 }]);
  });

  it('gives only the own rows of a table that others inherit from', async () => {
    await ends('postgres', 'sqlite', 'CREATE TABLE parent (id int PRIMARY KEY, t text)', 'CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)', "INSERT INTO parent VALUES (1, 'p')", "INSERT INTO child VALUES (1, 'c'), (2, 'c')");
    expect((await manager.sync('r')).details).toMatchObject([{ collection: 'child', created: 2, errors: 0 }, { collection: 'parent', created: 1, errors: 0 }]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });
});

describe('a target', () => {
  it('in MongoDB that has rows takes many more', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (id text PRIMARY KEY, n int)', "INSERT INTO t SELECT 'row ' || n, n FROM generate_series(1, 1000) n");
    await manager.sync('r');
    await sql('from').executeRun("INSERT INTO t SELECT 'row ' || n, n FROM generate_series(1001, 40000) n");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 39000, skipped: 1000, errors: 0 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('takes dates and object ids within documents once, and then finds them equal', async () => {
    const { from } = await ends('mongodb', 'postgres');
    const client = await MongoClient.connect(from);
    await client.db().collection<{ _id: string; doc: unknown; mixed: unknown }>('t').insertMany([
      { _id: 'a', doc: { at: new Date(0), n: 1.5 }, mixed: [1] }, { _id: 'b', doc: { deep: [{ at: new Date(1) }] }, mixed: 'text' },
    ]);
    await client.close();
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 2, errors: 0 });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, skipped: 2 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('keeps the row of another entity under the same id', async () => {
    const kinds = (kind: string) => ({ name: kind, collection: 'things', fields: { v: { type: 'string' as const } }, relations: {}, indexes: [], timestamps: false, discriminator: 'kind', discriminatorValue: kind });
    const [a, b] = [kinds('A'), kinds('B')];
    for (const project of ['from', 'to']) {
      await manager.addReplica(project, { name: 'm', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, [a, b]);
    }
    manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'snapshot', collections: ['A'] });
    const service = (project: string) => manager.resolveWriteService(project);
    await service('from')?.create('A', { id: '1', v: 'source' });
    await service('to')?.create('B', { id: '1', v: 'target' });
    await service('to')?.create('A', { id: '2', v: 'orphan' });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, deleted: 1, errors: 1 });
    expect(await service('to')?.findById('B', '1')).toMatchObject({ v: 'target' });
  });
});
