// What a target cannot hold is converted as documented and reported by field, or refused; never changed in silence.
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

async function ends(from: Dialect, to: Dialect, ...statements: string[]): Promise<void> {
  for (const [project, dialect] of [['from', from], ['to', to]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, []);
  }
  for (const statement of statements) await sql('from').executeRun(statement);
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

/** Runs the table through every mode, each into its own empty table, and gives what was reported. */
async function throughEveryMode(check: (first: SyncStats['details'][number], second: SyncStats['details'][number]) => void): Promise<void> {
  const modes = [{ mode: 'snapshot' }, { mode: 'cdc', capture: 'poll' }, { mode: 'bidirectional' }] as const;
  for (const mode of modes) {
    if (await sql('to').executeRun('DROP TABLE IF EXISTS t').catch(() => undefined) === undefined) await sql('to').executeRun(JSON.stringify({ drop: 't' })).catch(() => undefined);
    manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], ...mode });
    check(detail(await manager.sync('r')), detail(await manager.sync('r')));
    manager.removeReplicationRule('r');
  }
}

const sorted = (list: { field: string; rows: number }[]) => list.map(({ field, rows }) => `${field} ${String(rows)}`).sort();

describe('in every mode', () => {
  it('NaN that becomes NULL on SQLite is reported by field, also within lists', async () => {
    await ends('postgres', 'sqlite', 'CREATE TABLE t (id int PRIMARY KEY, f float8, r real, list float8[], "updatedAt" timestamptz)', "INSERT INTO t VALUES (1, 'NaN', 'NaN', '{1,NaN}', now()), (2, 1.5, 1.5, '{1}', now())");
    await throughEveryMode((first, second) => {
      expect(first).toMatchObject({ created: 2, errors: 0 });
      expect(sorted(first.conversions)).toEqual(['f 1', 'list 1', 'r 1']);
      expect(second).toMatchObject({ created: 0, updated: 0, errors: 0 });
    });
  });

  it('digits of a moment beyond milliseconds that MongoDB drops are reported by field', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (id int PRIMARY KEY, at timestamptz, many timestamptz[], "updatedAt" timestamptz)', "INSERT INTO t VALUES (1, '2024-01-01 00:00:00.0001Z', '{2024-01-01 00:00:00.0001Z}', '2024-01-01Z')");
    await throughEveryMode((first, second) => {
      expect(first).toMatchObject({ created: 1, errors: 0 });
      expect(sorted(first.conversions)).toEqual(['at 1', 'many 1']);
      expect(second).toMatchObject({ created: 0, updated: 0, errors: 0 });
    });
  });

  it('a moment without an equivalent fails its row, naming the column, and the rest goes on', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (id int PRIMARY KEY, at timestamptz, "updatedAt" timestamptz)', "INSERT INTO t VALUES (1, 'infinity', now()), (2, now(), now())");
    await throughEveryMode((first, second) => {
      expect(first).toMatchObject({ created: 1, errors: 1, failures: [{ key: '1', reason: expect.stringContaining('column "at"') as string }] });
      expect(second).toMatchObject({ created: 0, errors: 1 });
    });
  });
});

describe('a column of the target that exists already', () => {
  it.each([
    ['a text that is too long', 'v text', "'123456'", 'v varchar(5)'],
    ['digits that would be rounded', 'v numeric', '1.005', 'v numeric(10,2)'],
    ['an integer out of range', 'v bigint', '40000', 'v smallint'],
    ['a double that single precision would change', 'v float8', '0.1234567891', 'v real'],
    ['text that is no number', 'v text', "'007'", 'v int'],
    ['text that may be another day', 'v text', "'01/02/2020'", 'v date'],
    ['a time whose zone it would drop', 'v timetz', "'12:00+02'", 'v time'],
  ])('refuses %s, naming itself', async (_, source, value, target) => {
    await ends('postgres', 'postgres', `CREATE TABLE t (id int PRIMARY KEY, ${source})`, `INSERT INTO t VALUES (1, ${value})`);
    await sql('to').executeRun(`CREATE TABLE t (id int PRIMARY KEY, ${target})`);
    for (const mode of ['snapshot', 'bidirectional'] as const) {
      manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], mode });
      expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, errors: 1, failures: [{ key: '1', reason: expect.stringContaining('column "v"') as string }] });
      manager.removeReplicationRule('r');
    }
    expect(await sql('to').executeQuery('SELECT * FROM t')).toEqual([]);
  });
});

/** Runs a rule of everything twice, each into what the last one left; the second run has nothing to do. */
async function settles(): Promise<SyncStats['details'][number]> {
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], mode: 'snapshot' });
  const first = detail(await manager.sync('r'));
  expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, deleted: 0, skipped: first.created, errors: first.errors });
  expect(await manager.verify('r')).toMatchObject({ collections: [{ equal: first.created, different: first.errors, extra: 0 }] });
  return first;
}

describe('a column that gives back other values than it takes', () => {
  it('of SQLite, declared DECIMAL, takes the digits of a double and refuses more', async () => {
    await ends('postgres', 'sqlite', 'CREATE TABLE t (id numeric PRIMARY KEY, price numeric, code text)', "INSERT INTO t VALUES (1, 12.50, 'a1'), (2.50, 9007199254740993, '7'), (3, 0.12345678901234567890, 'c'), (4, 1, '007')");
    await sql('to').executeRun('CREATE TABLE t (id NUMERIC PRIMARY KEY, price DECIMAL(10,2), code NUMERIC)');
    const { created, failures } = await settles();
    expect({ created, failures }).toMatchObject({ created: 2, failures: [{ key: '3', reason: expect.stringContaining('column "price"') as string }, { key: '4', reason: expect.stringContaining('column "code"') as string }] });
    expect(await sql('to').executeQuery('SELECT id, price FROM t ORDER BY id')).toEqual([{ id: 1, price: 12.5 }, { id: 2.5, price: 9007199254740993n }]);
  });

  it.each(['sqlite', 'postgres', 'mariadb'] as const)('of %s, of any type, keeps what MongoDB has of several types', async (to) => {
    await ends('mongodb', to);
    const documents = [{ _id: 1, v: true }, { _id: 2, v: { $date: { $numberLong: '0' } } }, { _id: 3, v: { $numberDecimal: '1.50' } }, { _id: 4, v: { $oid: '65a1f0c2d4e5b6a798897766' } }, { _id: 5, v: 'text' }, { _id: 6, v: 1.5 }, { _id: 7, v: { $numberDouble: 'NaN' } }];
    await sql('from').executeRun(JSON.stringify({ insert: 't', documents }));
    expect(await settles()).toMatchObject({ created: 7, errors: 0 });
  });

  it('of PostgreSQL, with fewer digits of a second or of fixed length, is told of what it drops', async () => {
    await ends('postgres', 'postgres', 'CREATE TABLE t (id text PRIMARY KEY, at timestamptz, day_time time, code text)', "INSERT INTO t VALUES ('a', '2024-01-01 00:00:00.7Z', '12:00:00.7', 'x'), ('b', '2024-01-01 00:00:00Z', '12:00:00', 'xyz')");
    await sql('to').executeRun('CREATE TABLE t (id char(4) PRIMARY KEY, at timestamptz(0), day_time time(0), code char(3))');
    const first = await settles();
    expect(first).toMatchObject({ created: 2, errors: 0 });
    expect(sorted(first.conversions)).toEqual(['at 1', 'day_time 1']);
    expect(await sql('to').executeQuery(`SELECT at = '2024-01-01 00:00:00Z' AS is_cut, code FROM t ORDER BY id`)).toEqual([{ is_cut: true, code: 'x  ' }, { is_cut: true, code: 'xyz' }]);
  });

  it('of MariaDB and of fixed length is found equal to that of PostgreSQL, and is told of spaces that were not filled in', async () => {
    await ends('postgres', 'mariadb', 'CREATE TABLE t (id char(4) PRIMARY KEY, code char(3), free text)', "INSERT INTO t VALUES ('a', 'x', 'y  '), ('b', 'xyz', 'z')");
    await sql('to').executeRun('CREATE TABLE t (id CHAR(4) PRIMARY KEY, code CHAR(3), free CHAR(5))');
    const first = await settles();
    expect(first).toMatchObject({ created: 2, errors: 0 });
    expect(sorted(first.conversions)).toEqual(['free 1']);
  });
});

it.each(['sqlite', 'postgres', 'mongodb'] as const)('changes that SQLite tells arrive on %s in the types of their entity', async (to) => {
  const doc = { name: 'Doc', collection: 'docs', fields: { lines: { type: 'json' as const }, tags: { type: 'array' as const, arrayOf: 'string' as const }, ok: { type: 'boolean' as const }, due: { type: 'date' as const } }, relations: {}, indexes: [], timestamps: false };
  for (const [project, dialect] of [['from', 'sqlite'], ['to', to]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, [doc]);
  }
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['Doc'], mode: 'cdc' });
  await manager.sync('r');
  const [source, target] = [manager.resolveWriteService('from'), manager.resolveWriteService('to')];
  const written = await source?.create('Doc', { lines: [{ a: 2 }], tags: ['x'], ok: true, due: new Date(0) });
  await manager.sync('r');
  expect(await target?.findAll('Doc', { ok: true, due: { $lt: new Date(1) } })).toEqual([written]);
  expect(await manager.verify('r')).toMatchObject({ equal: true });
});

it('addresses arrive as PostgreSQL shows them, by a copy as by its log', async () => {
  await ends('postgres', 'sqlite', 'CREATE TABLE t (id int PRIMARY KEY, a inet, list inet[], net cidr)', "INSERT INTO t VALUES (1, '10.0.0.1', '{10.0.0.1,NULL,10.1.0.0/16}', '10.0.0.0/8'), (2, '::1', NULL, NULL)");
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], mode: 'cdc' });
  await manager.sync('r');
  await sql('from').executeRun("INSERT INTO t SELECT id + 10, a, list, net FROM t");
  await manager.sync('r');
  const row = { a: '10.0.0.1', list: '["10.0.0.1",null,"10.1.0.0/16"]', net: '10.0.0.0/8' };
  expect(await sql('to').executeQuery('SELECT a, list, net FROM t WHERE id IN (1, 11)')).toEqual([row, row]);
  expect(await manager.verify('r')).toMatchObject({ equal: true });
});

describe('JSON', () => {
  it.each(['mongodb', 'mariadb', 'sqlite', 'postgres'] as const)('null within a list arrives on %s once', async (to) => {
    await ends('postgres', to, 'CREATE TABLE t (id int PRIMARY KEY, v jsonb[])', `INSERT INTO t VALUES (1, ARRAY['null', '1', NULL]::jsonb[])`);
    expect(await settles()).toMatchObject({ created: 1, errors: 0 });
  });

  it.each([
    ['postgres', 'sqlite', 'SELECT id, v IS NULL AS missing FROM t ORDER BY id', 'jsonb'],
    ['postgres', 'mariadb', 'SELECT id, v IS NULL AS missing FROM t ORDER BY id', 'jsonb'],
    ['mariadb', 'postgres', 'SELECT id, CASE WHEN v IS NULL THEN 1 ELSE 0 END AS missing FROM t ORDER BY id', 'json'],
  ] as const)('null arrives from %s on %s as it is, and is told from a missing value', async (from, to, query, type) => {
    await ends(from, to, `CREATE TABLE t (id int PRIMARY KEY, v ${type})`, "INSERT INTO t VALUES (1, 'null'), (2, NULL), (3, '[null]')");
    manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], mode: 'snapshot' });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 3, errors: 0 });
    expect(await sql('to').executeQuery(query)).toEqual([{ id: 1, missing: 0 }, { id: 2, missing: 1 }, { id: 3, missing: 0 }]);
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, errors: 0 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('null is a missing value on MongoDB, and bytes within a document are reported where they become text', async () => {
    await ends('postgres', 'mongodb', 'CREATE TABLE t (id int PRIMARY KEY, v jsonb)', "INSERT INTO t VALUES (1, 'null'), (2, NULL)");
    manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', collections: ['t'], mode: 'snapshot' });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 2, errors: 0 });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, errors: 0 });
    manager.removeReplicationRule('r');
    await sql('to').executeRun(JSON.stringify({ insert: 't', documents: [{ _id: 3, v: { file: { $binary: { base64: 'AQI=', subType: '00' } } } }] }));
    await manager.addReplica('back', { name: 'm', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, []);
    manager.addReplicationRule({ name: 'b', source: 'to', target: 'back', collections: ['t'], mode: 'snapshot' });
    expect(sorted(detail(await manager.sync('b')).conversions)).toEqual(['v 1']);
  });
});
