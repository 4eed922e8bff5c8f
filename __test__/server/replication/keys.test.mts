// Primary keys across databases: two rows never become one, and rows of others are never touched.
import { Binary, Decimal128, Double, MongoClient } from 'mongodb';
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

describe('keys', () => {
  it('that are lists or JSON are looked up like others', async () => {
    await ends('postgres', 'postgres', 'CREATE TABLE lists (id int[] PRIMARY KEY, v int)', "INSERT INTO lists VALUES ('{1,2}', 1), ('{3}', 1)",
      'CREATE TABLE documents (id jsonb PRIMARY KEY, v int)', `INSERT INTO documents VALUES ('1', 1), ('"a"', 1), ('{"k": [1]}', 1)`);
    await sql('to').executeRun('CREATE TABLE documents (id jsonb PRIMARY KEY, v int)');
    await manager.sync('r');
    await sql('from').executeRun("UPDATE lists SET v = 2 WHERE id = '{1,2}'");
    await sql('from').executeRun("DELETE FROM lists WHERE id = '{3}'");
    await sql('from').executeRun(`UPDATE documents SET v = 2 WHERE id = '"a"'`);
    await sql('from').executeRun("DELETE FROM documents WHERE id = '1'");
    expect((await manager.sync('r')).details).toMatchObject([
      { collection: 'documents', updated: 1, deleted: 1, skipped: 1, errors: 0 },
      { collection: 'lists', updated: 1, deleted: 1, errors: 0 },
    ]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('of a composite type are looked up like others', async () => {
    await ends('postgres', 'postgres', 'CREATE TYPE place AS (x int, name text)', 'CREATE TABLE t (id place PRIMARY KEY, v int)', `INSERT INTO t VALUES ('(1,"a b")', 1), ('(2,b)', 1)`,
      'CREATE TABLE two (id place, n int, v int, PRIMARY KEY (id, n))', "INSERT INTO two VALUES ('(1,a)', 1, 1), ('(2,b)', 1, 1)");
    await manager.sync('r');
    await sql('from').executeRun(`UPDATE t SET v = 2 WHERE id = '(1,"a b")'::place`);
    for (const table of ['t', 'two']) await sql('from').executeRun(`DELETE FROM ${table} WHERE id = '(2,b)'::place`);
    expect((await manager.sync('r')).details).toMatchObject([{ collection: 't', updated: 1, deleted: 1, errors: 0 }, { collection: 'two', skipped: 1, deleted: 1, errors: 0 }]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('that the target cannot read keep no other rows from it', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (id jsonb PRIMARY KEY, v int)', "INSERT INTO t VALUES ('1', 1), ('null', 1), ('3', 1)");
    await manager.sync('r');
    await sql('from').executeRun("UPDATE t SET v = 2 WHERE id = '3'");
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 1, skipped: 1, errors: 1, failures: [{ key: 'null' }] });
    expect(await manager.verify('r')).toMatchObject({ equal: false, collections: [{ rows: 3, equal: 2, different: 1 }] });
  });

  it('that SQLite would read back as others are refused, and their rows are not written anew by each run', async () => {
    const { from } = await ends('mongodb', 'sqlite');
    const client = await MongoClient.connect(from);
    await client.db().collection<{ _id: unknown; v: number }>('t').insertMany([{ _id: 'text', v: 1 }, { _id: 5, v: 1 }, { _id: true, v: 1 }, { _id: new Date(0), v: 1 }]);
    await client.close();
    const refused = { errors: 2, failures: [{ reason: expect.stringContaining('cannot hold this primary key') as string }, { reason: expect.stringContaining('cannot hold this primary key') as string }] };
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 2, ...refused });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, deleted: 0, skipped: 2, ...refused });
  });
});

describe('keys that no row of the target could have as they are', () => {
  it.each([
    ['lists that hold NaN', 'sqlite', 'CREATE TABLE t (id float8[] PRIMARY KEY)', "INSERT INTO t VALUES ('{1.5,NaN}'), ('{1}')"],
    ['JSON null in a part of them', 'mongodb', 'CREATE TABLE t (a int, id jsonb, PRIMARY KEY (a, id))', "INSERT INTO t VALUES (1, 'null'), (1, '2')"],
  ] as const)('are refused: %s', async (_, to, table, rows) => {
    await ends('postgres', to, table, rows);
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1, errors: 1 });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, deleted: 0, skipped: 1, errors: 1 });
  });
});

it('MongoDB gives MongoDB bytes of every kind, and whole numbers as keys beside others', async () => {
  const uris = await ends('mongodb', 'mongodb');
  const [from, to] = await Promise.all([MongoClient.connect(uris.from), MongoClient.connect(uris.to)]);
  const bytes = [5, 128, 0, 4].map((subType, at) => ({ _id: at, v: new Binary(Buffer.alloc(16, at), subType) }));
  const numbers = [{ _id: 1 }, { _id: new Double(2.5) }, { _id: new Double(3) }, { _id: Decimal128.fromString('4') }];
  await from.db().collection<{ _id: unknown }>('bytes').insertMany(bytes);
  await from.db().collection<{ _id: unknown }>('numbers').insertMany(numbers);
  expect((await manager.sync('r')).details).toMatchObject([{ created: 4, errors: 0 }, { created: 4, errors: 0 }]);
  expect((await manager.sync('r')).details).toMatchObject([{ deleted: 0, skipped: 4 }, { deleted: 0, skipped: 4 }]);
  expect(await manager.verify('r')).toMatchObject({ equal: true });
  expect(await to.db().collection('bytes').find().sort({ _id: 1 }).toArray()).toEqual(bytes);
  await Promise.all([from.close(), to.close()]);
});

describe('documents that a MongoDB target has of others', () => {
  it('are deleted although their text reads like the number of a row', async () => {
    const { to } = await ends('postgres', 'mongodb', 'CREATE TABLE t (id int PRIMARY KEY, v int)', 'INSERT INTO t VALUES (1, 1), (2, 2)');
    await manager.sync('r');
    const client = await MongoClient.connect(to);
    await client.db().collection<{ _id: unknown; v: number }>('t').insertOne({ _id: '1', v: 5 });
    expect(await manager.verify('r')).toMatchObject({ equal: false, collections: [{ rows: 2, equal: 2, extra: 1 }] });
    expect(detail(await manager.sync('r'))).toMatchObject({ deleted: 1, skipped: 2 });
    expect(await client.db().collection('t').countDocuments()).toBe(2);
    await client.close();
  });

  it('are deleted where the key has several columns, whatever their _id is', async () => {
    const { to } = await ends('postgres', 'mongodb', 'CREATE TABLE t (a int, b text, v int, PRIMARY KEY (a, b))', "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)");
    await manager.sync('r');
    const client = await MongoClient.connect(to);
    const foreign = () => client.db().collection<{ _id?: unknown }>('t').insertMany([{ v: 7 } as object, { _id: 'other', a: 1, b: 'x', v: 5 } as object, { _id: { b: 'x', a: 1 } }, { _id: { a: 1 } }]);
    await foreign();
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, deleted: 4, skipped: 2 });
    await foreign();
    expect(await manager.verify('r', { repair: 'rows-and-extras' })).toMatchObject({ equal: false, collections: [{ equal: 2, extra: 4, repaired: 4 }] });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
    await client.close();
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

  it('whose names for two collections are the same keeps the rows of the first, also when extras are repaired', async () => {
    const { from } = await ends('mongodb', 'postgres');
    const [long, client] = ['x'.repeat(63), await MongoClient.connect(from)];
    for (const [end, count] of [['a', 2], ['b', 1]] as const) {
      await client.db().collection<{ _id: string }>(long + end).insertMany(Array.from({ length: count }, (_, n) => ({ _id: `${end}${String(n)}` })));
    }
    await client.close();
    const taken = { failures: [{ key: '', reason: expect.stringContaining('another collection of the rule') as string }] };
    expect(await manager.sync('r')).toMatchObject({ details: [{ created: 2, errors: 0 }, { errors: 1, ...taken }] });
    expect(await manager.verify('r', { repair: 'rows-and-extras' })).toMatchObject({ equal: false, collections: [{ rows: 2, equal: 2 }, { extra: 0, ...taken }] });
    expect(await sql('to').executeQuery(`SELECT id FROM ${long} ORDER BY id`)).toEqual([{ id: 'a0' }, { id: 'a1' }]);
  });

  it('whose first collection of a name cannot be read for once does not give its table to the second', async () => {
    await ends('postgres', 'sqlite', 'CREATE TABLE "T" (id int PRIMARY KEY, v int)', 'INSERT INTO "T" VALUES (1, 1), (2, 1)', 'CREATE TABLE t (id int PRIMARY KEY, v int)', 'INSERT INTO t VALUES (9, 9)');
    expect((await manager.sync('r')).details).toMatchObject([{ created: 2 }, { errors: 1 }]);
    await sql('from').executeRun('ALTER TABLE "T" DROP CONSTRAINT "T_pkey"');
    expect((await manager.sync('r')).details).toMatchObject([{ errors: 1 }, { created: 0, deleted: 0, errors: 1 }]);
    expect(await manager.verify('r', { repair: 'rows-and-extras' })).toMatchObject({ equal: false, collections: [{ repaired: 0 }, { extra: 0, repaired: 0 }] });
    expect(await sql('to').executeQuery('SELECT id FROM T ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it.each(['postgres', 'mongodb', 'sqlite'] as const)('in %s takes the rows of two first runs at once, and tells of none as refused', async (dialect) => {
    await ends('postgres', dialect, "CREATE TABLE t AS SELECT n AS id, 'x' || n AS v FROM generate_series(1, 12000) n", 'ALTER TABLE t ADD PRIMARY KEY (id)');
    manager.addReplicationRule({ name: 'again', source: 'from', target: 'to', mode: 'snapshot', collections: ['t'] });
    const [a, b] = (await Promise.all([manager.sync('r'), manager.sync('again')])).map(detail);
    expect([a, b]).toMatchObject([{ errors: 0 }, { errors: 0 }]);
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
