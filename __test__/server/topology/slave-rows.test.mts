// Rows that only one of master and slave has: those of the slave's own are nobody's to delete, those of the master's are not given up in
// silence.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema, ReplicaService } from 'replicaverse';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually, startMongo, startPostgres } from '../../support/index.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };

let folder: string;
const managers: ReplicationManager[] = [];
beforeEach(async () => {
  clearRegistry();
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-rows-'));
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.disconnectAll()));
  await rm(folder, { recursive: true });
});

const file = (name: string) => join(folder, `${name}.db`);

/** A manager with a master and a slave in files of these names. */
async function pair(slave: string, more: { lagTolerance?: number } = {}): Promise<ReplicationManager> {
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  managers.push(manager);
  for (const [name, role, uri] of [['m', 'master', file('m')], ['s', 'slave', file(slave)]] as const) {
    await manager.addReplica('p', { name, role, dialect: 'sqlite', uri, ...more }, [item]);
  }
  return manager;
}

const ids = async (service: ReplicaService | null) => ((await service?.findAll('Item')) ?? []).map(({ id }) => id).sort();

async function arrives(manager: ReplicationManager, id: string): Promise<void> {
  await manager.resolveWriteService('p')?.create('Item', { id });
  await eventually(async () => (await ids(manager.resolveReadService('p'))).includes(id));
}

it('stay also in a database that is given the name of a slave of before', async () => {
  const first = await pair('first');
  await arrives(first, 'a');
  await first.disconnectAll();

  const other = new ReplicationManager();
  managers.push(other);
  await other.addReplica('x', { name: 'x', role: 'master', dialect: 'sqlite', uri: file('second') }, [item]);
  const own = other.resolveWriteService('x');
  await own?.create('Item', { id: 'own' });

  const second = await pair('second');
  const standing = async () => await second.resolveWriteService('p')?.dialect.executeQuery("SELECT standing FROM replicaverse_member WHERE replica LIKE 'p/s %'");
  // 0 is that of a slave that held rows of its own.
  await eventually(async () => expect(await standing()).toEqual([{ standing: 0 }]));
  await arrives(second, 'b');
  expect(await ids(own ?? null)).toEqual(['a', 'b', 'own']);
});

it('of tables that are not fed keep a slave with lagTolerance 0 from being promoted, unless they are given up', async () => {
  const manager = await pair('first', { lagTolerance: 0 });
  await arrives(manager, 'a');
  const master = manager.resolveWriteService('p')?.dialect;
  await master?.executeRun('CREATE TABLE audit (note TEXT)');
  await arrives(manager, 'b');
  await master?.executeRun("INSERT INTO audit VALUES ('row')");
  await expect(manager.promoteToMaster('p', 's')).rejects.toMatchObject({ code: 'ERR_PROMOTION', message: expect.stringContaining('the rows of "audit"') as string });
  await arrives(manager, 'c');
  await manager.promoteToMaster('p', 's', { force: true });
  expect(await ids(manager.resolveWriteService('p'))).toEqual(['a', 'b', 'c']);
});

it('of a table that the master got just now are at the slave that a token gives, and at a slave that is promoted', async () => {
  const manager = await pair('first');
  await arrives(manager, 'a');
  const master = manager.resolveWriteService('p');
  await master?.dialect.executeRun('CREATE TABLE young (id TEXT PRIMARY KEY)');
  await master?.dialect.executeRun("INSERT INTO young VALUES ('row')");
  const count = async (service: ReplicaService | null) => await service?.dialect.executeQuery('SELECT count(*) AS rows FROM young');
  const after = (await master?.lastWriteToken()) ?? '';
  expect(await count(manager.resolveReadService('p', { after }))).toEqual([{ rows: 1 }]);
  const slave = await eventually(async () => {
    const service = manager.resolveReadService('p', { after: (await master?.lastWriteToken()) ?? '' });
    return service?.dialect === master?.dialect ? undefined : service;
  });
  expect(await count(slave ?? null)).toEqual([{ rows: 1 }]);

  await master?.dialect.executeRun('CREATE TABLE younger (id TEXT PRIMARY KEY)');
  await master?.dialect.executeRun("INSERT INTO younger VALUES ('row')");
  await manager.promoteToMaster('p', 's');
  expect(await manager.resolveWriteService('p')?.dialect.executeQuery('SELECT id FROM younger')).toEqual([{ id: 'row' }]);
});

it('that were given their numbers by the master are counted on from by a PostgreSQL slave that is promoted', async () => {
  const server = await startPostgres();
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  managers.push(manager);
  for (const [name, role] of [['m', 'master'], ['s', 'slave']] as const) {
    const uri = await server.createDatabase(name);
    const tables = 'CREATE TABLE visit (id serial PRIMARY KEY); CREATE SEQUENCE "Own"; CREATE TABLE note (id bigint PRIMARY KEY DEFAULT nextval(\'"Own"\'))';
    await server.psql(tables, name);
    await manager.addReplica('p', { name, role, dialect: 'postgres', uri }, []);
  }
  const insert = async () => {
    for (const table of ['visit', 'note']) await manager.resolveWriteService('p')?.dialect.executeRun(`INSERT INTO ${table} DEFAULT VALUES`);
  };
  for (let row = 0; row < 3; row += 1) await insert();
  await manager.promoteToMaster('p', 's');
  await insert();
  expect(await manager.resolveWriteService('p')?.dialect.executeQuery('SELECT max(v.id)::int AS visit, max(n.id)::int AS note FROM visit v, note n')).toEqual([{ visit: 4, note: 4 }]);
  await manager.disconnectAll();
  await server.remove();
});

it('of JSON are the same at the old master after a promotion to SQLite', async () => {
  const manager = await pair('first');
  await arrives(manager, 'a');
  const written = ['5', 'true', '"text"', '{"a":1}'];
  const master = manager.resolveWriteService('p');
  await master?.dialect.executeRun('CREATE TABLE docs (id INTEGER PRIMARY KEY, j JSON)');
  for (const [id, j] of written.entries()) await master?.dialect.executeRun('INSERT INTO docs VALUES (?, ?)', [id, j]);
  const stored = async (service: ReplicaService | null) => await service?.dialect.executeQuery('SELECT id, j FROM docs ORDER BY id').catch(() => []);
  await eventually(async () => expect(await stored(manager.resolveReadService('p'))).toHaveLength(written.length));
  const before = await stored(master ?? null);
  await manager.promoteToMaster('p', 's');
  await arrives(manager, 'b');
  expect(await stored(master ?? null)).toEqual(before);
});

it('of tables with keys of several columns come back from a MongoDB slave that was promoted', async () => {
  const [server, mongo] = await Promise.all([startPostgres(), startMongo()]);
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  managers.push(manager);
  const uri = await server.createDatabase('m');
  await server.psql("CREATE TABLE pair (a int, b text, note text, PRIMARY KEY (a, b)); CREATE TABLE bare (x bigint, y bigint, PRIMARY KEY (y, x)); INSERT INTO pair VALUES (1, 'x', 'first')", 'm');
  await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri }, []);
  await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'mongodb', uri: mongo.uri }, []);
  const old = manager.resolveWriteService('p');
  await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 's')?.lag === 0);
  await manager.promoteToMaster('p', 's');

  const documents = [{ _id: { a: 2, b: 'y' }, a: 2, b: 'y', note: 'second' }];
  await mongo.command({ insert: 'pair', documents }, 'app');
  await mongo.command({ update: 'pair', updates: [{ q: { a: 1 }, u: { $set: { note: 'changed' } } }] }, 'app');
  await mongo.command({ insert: 'bare', documents: [{ _id: { y: 7, x: 8 }, y: 7, x: 8 }] }, 'app');
  const rows = async (sql: string) => await old?.dialect.executeQuery(sql);
  await eventually(async () => {
    expect(await rows('SELECT a, b, note FROM pair ORDER BY a')).toEqual([
      { a: 1, b: 'x', note: 'changed' },
      { a: 2, b: 'y', note: 'second' },
    ]);
    return expect(await rows('SELECT x::int, y::int FROM bare')).toEqual([{ x: 8, y: 7 }]);
  });
  await mongo.command({ delete: 'pair', deletes: [{ q: { a: 1 }, limit: 1 }] }, 'app');
  await eventually(async () => expect(await rows('SELECT a FROM pair')).toEqual([{ a: 2 }]));
  await manager.disconnectAll();
  await Promise.all([server.remove(), mongo.remove()]);
});
