// A bidirectional rule makes both sides equal, decides conflicts by its rule, and then changes nothing.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, IDialect, ReplicationRuleConfig, SyncStats } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const note: EntitySchema = {
  name: 'Note',
  collection: 'notes',
  fields: { text: { type: 'string' }, n: { type: 'number' }, at: { type: 'date' }, meta: { type: 'json' } },
  relations: {},
  indexes: [],
  timestamps: true,
};

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

async function ends(a: Dialect, b: Dialect, schemas: EntitySchema[]): Promise<void> {
  for (const [project, dialect] of [['a', a], ['b', b]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, schemas);
  }
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'a', target: 'b', mode: 'bidirectional', collections: ['Note'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

function sql(project: string): IDialect {
  return service(project).dialect;
}

function detail({ details: [first] }: SyncStats): SyncStats['details'][number] {
  if (!first) throw new Error('no collection was synced');
  return first;
}

const [early, late] = [new Date('2024-01-01T00:00:00Z'), new Date('2024-01-02T00:00:00Z')];
const byId = { sort: { id: 1 } } as const;
const rows = async (project: string) => service(project).findAll('Note', {}, byId);

const PAIRS = [
  ['sqlite', 'postgres'],
  ['postgres', 'mongodb'],
  ['mongodb', 'sqlite'],
  ['postgres', 'postgres'],
  ['mariadb', 'postgres'],
  ['mongodb', 'mariadb'],
  ['mariadb', 'mariadb'],
] as const;

describe.each(PAIRS)('%s ↔ %s', (a, b) => {
  it('copies rows that one side lacks, lets the newest version win, and then changes nothing', async () => {
    await ends(a, b, [note]);
    rule();
    await service('a').create('Note', { id: 'only a', text: 'é 😀', n: 1.5, at: early, meta: { deep: [1, null] } });
    await service('b').create('Note', { id: 'only b', text: '', n: -0.1 });
    await service('a').create('Note', { id: 'newer in a', text: 'a', updatedAt: late });
    await service('b').create('Note', { id: 'newer in a', text: 'b', updatedAt: early });
    await service('a').create('Note', { id: 'newer in b', text: 'a', updatedAt: early });
    await service('b').create('Note', { id: 'newer in b', text: 'b', updatedAt: late });

    const first = detail(await manager.sync('r'));
    expect(first).toMatchObject({ created: 2, updated: 2, deleted: 0, skipped: 0, errors: 0, conflicts: 2 });
    expect([...first.conflictList].sort((x, y) => (x.key < y.key ? -1 : 1))).toMatchObject([
      { key: 'newer in a', winner: 'source', fields: expect.arrayContaining(['text', 'updatedAt']) as string[] },
      { key: 'newer in b', winner: 'target', fields: expect.arrayContaining(['text', 'updatedAt']) as string[] },
    ]);
    expect(await rows('a')).toEqual(await rows('b'));
    expect(await service('a').findById('Note', 'newer in b')).toMatchObject({ text: 'b', updatedAt: late });

    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, skipped: 4, errors: 0, conflicts: 0 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('never deletes: a row that one side deleted comes back', async () => {
    await ends(a, b, [note]);
    rule();
    await service('a').create('Note', { id: '1' });
    await manager.sync('r');
    await service('b').delete('Note', '1');
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1, deleted: 0 });
    expect(await rows('b')).toHaveLength(1);
  });

  it.each([['source-wins', 'a'], ['target-wins', 'b']] as const)('honours %s whatever the age', async (conflictResolution, text) => {
    await ends(a, b, [note]);
    rule({ conflictResolution });
    for (const [id, ours, theirs] of [['1', late, early], ['2', early, late]] as const) {
      await service('a').create('Note', { id, text: 'a', updatedAt: ours });
      await service('b').create('Note', { id, text: 'b', updatedAt: theirs });
    }
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 2, conflicts: 2 });
    expect(await rows('a')).toMatchObject([{ text }, { text }]);
    expect(await rows('b')).toEqual(await rows('a'));
  });

  it('decides versions of the same age alike whichever side is the source', async () => {
    const outcomes: unknown[] = [];
    for (const [source, target] of [['a', 'b'], ['b', 'a']] as const) {
      manager = new ReplicationManager();
      await ends(a, b, [note]);
      rule({ source, target });
      await service('a').create('Note', { id: '1', text: 'x', n: 5, createdAt: early, updatedAt: late });
      await service('b').create('Note', { id: '1', text: 'y', n: 4, createdAt: early, updatedAt: late });
      expect(detail(await manager.sync('r'))).toMatchObject({ updated: 1, conflicts: 1 });
      expect(await rows('a')).toEqual(await rows('b'));
      outcomes.push((await rows('a')).map(({ text, n }) => ({ text, n })));
      await manager.disconnectAll();
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });
});

describe('a soft delete', () => {
  it('on either side reaches the other, although it leaves updatedAt alone', async () => {
    await ends('sqlite', 'mongodb', [{ ...note, softDelete: true }]);
    rule();
    for (const id of ['1', '2', '3']) await service('a').create('Note', { id, updatedAt: early });
    await manager.sync('r');
    await service('a').delete('Note', '1');
    await service('b').delete('Note', '2');
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 2, conflicts: 2 });
    for (const side of ['a', 'b']) expect((await rows(side)).map(({ id }) => id)).toEqual(['3']);
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 0, skipped: 3 });
  });
});

describe('values that one side cannot hold whole', () => {
  it('do not go to and fro, and the finer one stays', async () => {
    await ends('postgres', 'mongodb', []);
    rule({ collections: ['t'] });
    await sql('a').executeRun('CREATE TABLE t (id int PRIMARY KEY, at timestamptz, note text, "updatedAt" timestamptz)');
    await sql('a').executeRun("INSERT INTO t VALUES (1, '2024-01-01 00:00:00.123456Z', 'x', '2024-01-01 00:00:00.000789Z')");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1, conversions: [{ field: 'at', rows: 1 }, { field: 'updatedAt', rows: 1 }] });
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 0, conflicts: 0, skipped: 1 });
    await sql('b').executeRun(JSON.stringify({ update: 't', updates: [{ q: { _id: 1 }, u: { $set: { note: 'y', updatedAt: { $date: '2024-02-01T00:00:00.000Z' } } } }] }));
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 1, conflicts: 1, conflictList: [{ key: '1', winner: 'target', fields: ['note', 'updatedAt'] }] });
    expect(await sql('a').executeQuery('SELECT note, at::text LIKE \'%.123456%\' AS whole FROM t')).toEqual([{ note: 'y', whole: true }]);
    expect(detail(await manager.sync('r'))).toMatchObject({ updated: 0, conflicts: 0 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
    rule({ name: 'back', source: 'b', target: 'a', collections: ['t'] });
    expect(detail(await manager.sync('back'))).toMatchObject({ updated: 0, conflicts: 0, skipped: 1 });
    expect(await manager.verify('back')).toMatchObject({ equal: true });
  });

  it('are refused row by row, on either side, and the rest goes on', async () => {
    await ends('sqlite', 'postgres', []);
    rule({ collections: ['t'] });
    await sql('a').executeRun('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)');
    await sql('b').executeRun('CREATE TABLE t (id int PRIMARY KEY, n smallint CHECK (n > 0))');
    await sql('a').executeRun('INSERT INTO t VALUES (1, 1), (2, 70000), (3, -1)');
    await sql('b').executeRun('INSERT INTO t VALUES (4, 4)');
    const first = detail(await manager.sync('r'));
    expect(first).toMatchObject({ created: 2, errors: 2 });
    expect(first.failures.map(({ key }) => key).sort()).toEqual(['2', '3']);
    expect(await sql('a').executeQuery('SELECT id FROM t ORDER BY id')).toHaveLength(4);
  });
});

describe('collections', () => {
  it('that exist on one side only are made on the other, columns too', async () => {
    await ends('postgres', 'sqlite', []);
    rule({ collections: ['*'] });
    await sql('a').executeRun('CREATE TABLE here (id int PRIMARY KEY, a text)');
    await sql('b').executeRun('CREATE TABLE there (id TEXT PRIMARY KEY, v REAL)');
    await sql('b').executeRun('CREATE TABLE here (id INTEGER PRIMARY KEY, b TEXT)');
    await sql('a').executeRun("INSERT INTO here VALUES (1, 'a')");
    await sql('b').executeRun("INSERT INTO here VALUES (2, 'b')");
    await sql('b').executeRun("INSERT INTO there VALUES ('x', 1.5)");
    const stats = await manager.sync('r');
    expect(stats).toMatchObject({ recordsSynced: 3, errors: 0 });
    for (const side of ['a', 'b']) {
      expect(await sql(side).executeQuery('SELECT id, a, b FROM here ORDER BY id')).toEqual([{ id: 1, a: 'a', b: null }, { id: 2, a: null, b: 'b' }]);
      expect(await sql(side).executeQuery('SELECT v FROM there')).toEqual([{ v: 1.5 }]);
    }
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, errors: 0 });
  });

  it('whose key has another name in MongoDB are the same rows on both sides', async () => {
    await ends('mongodb', 'postgres', []);
    rule({ collections: ['item'] });
    await sql('b').executeRun('CREATE TABLE item (code text PRIMARY KEY, v int)');
    await sql('b').executeRun("INSERT INTO item VALUES ('k1', 1)");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1, errors: 0 });
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 0, skipped: 1, errors: 0 });
    expect(await sql('b').executeQuery('SELECT * FROM item')).toEqual([{ code: 'k1', v: 1 }]);
  });

  it('of many rows converge, also when a run breaks off half-way', async () => {
    const uri = await databases.create('postgres');
    await manager.addReplica('a', { name: 'm', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, []);
    await manager.addReplica('b', { name: 'm', role: 'master', dialect: 'postgres', uri }, []);
    rule({ collections: ['big'] });
    await sql('a').executeRun('CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT)');
    await sql('b').executeRun('CREATE TABLE big (id int PRIMARY KEY, t text)');
    await sql('a').executeRun("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 25000) INSERT INTO big SELECT n, 'a' || n FROM n");
    await sql('b').executeRun("INSERT INTO big SELECT n, 'b' || n FROM generate_series(20001, 45000) n");
    manager.once('rule.sync.progress', ({ rows }) => {
      if (rows === 0) void manager.removeReplica('b', 'm');
    });
    await expect(manager.sync('r')).rejects.toMatchObject({ kind: 'Closed' });
    await manager.addReplica('b', { name: 'm', role: 'master', dialect: 'postgres', uri }, []);
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, details: [{ skipped: 45000, conflicts: 0 }] });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });
});
