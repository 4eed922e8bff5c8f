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

describe('JSON', () => {
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
