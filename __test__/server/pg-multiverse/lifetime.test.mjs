// The life of an instance: from initialize to close, in processes and worker threads, with configurations that change.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import PgMultiverse, { ClusterManager, ConnectionPool, isClusterConfig, isDatabaseConnection, isQueryResult, MultiClusterPostgres, VERSION } from 'replicaverse/pg-multiverse';
import root from 'replicaverse';
import { eventually, startPostgres } from '../../support/index.mjs';
import { addressOf } from './clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres({ standbys: 1 });
});
afterAll(() => server.remove());

const main = () => ({ main: { schemas: ['public'], primary: addressOf(server.uri) } });
const program = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

describe('an instance', () => {
  it('refuses everything before it is initialized and after it is closed', async () => {
    const db = new PgMultiverse();
    const message = 'MultiClusterPostgres not initialized. Call initialize() first.';
    const refused = async () => {
      await expect(db.query('SELECT 1')).rejects.toMatchObject({ message, code: 'ERR_NOT_INITIALIZED' });
      await expect(db.getConnection()).rejects.toThrow(message);
      await expect(db.healthCheck()).rejects.toThrow(message);
      expect(() => db.queryStream('SELECT 1')).toThrow(message);
      expect(() => db.getMetrics()).toThrow(message);
      expect(() => db.validateConfig()).toThrow(message);
      expect(() => db.registerSchema('a', 'main')).toThrow(message);
    };
    await refused();
    await db.initialize(main());
    await expect(db.initialize(main())).rejects.toThrow('MultiClusterPostgres already initialized');
    await db.close();
    await db.close();
    await refused();
    await db.initialize(main());
    expect((await db.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
    await db.close();
  });

  it('says what it is doing', async () => {
    const db = new PgMultiverse();
    /** @type {unknown[]} */
    const told = [];
    for (const event of /** @type {const} */ (['initialized', 'schemaRegistered', 'closed'])) db.on(event, (/** @type {unknown[]} */ ...args) => told.push([event, ...args]));
    await db.initialize(main());
    db.registerSchema('shop', 'main', { priority: 2 });
    await db.close();
    expect(told).toEqual([
      ['initialized', { clusters: ['main'], schemas: ['public'] }],
      ['schemaRegistered', { schema: 'shop', clusterId: 'main', options: { clusterId: 'main', priority: 2 } }],
      ['closed'],
    ]);
  });

  it('refuses options of a schema that are wrong, and goes on as it was', async () => {
    const db = new PgMultiverse();
    /** @type {unknown[]} */
    const errors = [];
    db.on('error', (error) => void errors.push(error));
    await db.initialize(main());
    const wrong = /** @type {any} */ ({ cacheStrategy: 'sometimes' });
    expect(() => db.registerSchema('shop', 'main', wrong)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining('cacheStrategy') }));
    expect(() => db.registerSchema('shop', 'nowhere')).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_CLUSTER' }));
    await expect(db.query('SELECT 1', [], { schema: 'shop' })).rejects.toThrow('No cluster configured for schema: shop');
    db.registerSchema('shop', 'main', { cacheStrategy: 'none' });
    expect((await db.query('SELECT 1 AS a', [], { schema: 'shop' })).rows).toEqual([{ a: 1 }]);
    expect(errors).toEqual([]);
    await db.close();
  });

  it('knows a schema that was registered also when its configuration changes', async () => {
    const manager = new ClusterManager();
    await manager.initialize(main());
    manager.registerSchema('shop', 'main');
    await manager.updateConfig({ main: { ...main().main, schemas: ['public', 'more'] } });
    for (const schema of ['shop', 'more']) expect((await manager.executeQuery('SELECT 1 AS a', [], { schema })).rows).toEqual([{ a: 1 }]);
    // What the new configuration says of it counts.
    await manager.updateConfig({ other: { ...main().main, schemas: ['shop'] } });
    expect((await manager.executeQuery('SELECT 1 AS a', [], { schema: 'shop' })).rows).toEqual([{ a: 1 }]);
    await manager.close();
  });

  it('needs clusters that can be reached', async () => {
    await expect(new PgMultiverse().initialize()).rejects.toThrow('No cluster configuration provided');
    await expect(new PgMultiverse().initialize({})).rejects.toThrow('No cluster configuration provided');
    const nowhere = { main: { primary: { ...addressOf(server.uri), port: 1 } } };
    await expect(new PgMultiverse().initialize(nowhere)).rejects.toMatchObject({ kind: 'Connection' });
    const wrong = { main: { primary: { ...addressOf(server.uri), password: 'wrong' } } };
    const error = await new PgMultiverse().initialize(wrong).catch((/** @type {any} */ thrown) => thrown);
    expect(error).toMatchObject({ kind: 'Authentication', code: '28P01' });
    expect(JSON.stringify(error) + error.stack).not.toContain('wrong');
  });

  it('fails the queries on their way when it is closed', async () => {
    const db = new PgMultiverse();
    await db.initialize(main());
    const query = db.query('SELECT pg_sleep(60)');
    const unsent = Array.from({ length: 100 }, () => db.query('SELECT pg_sleep(60)'));
    const outcomes = Promise.allSettled([query, ...unsent]);
    await db.close();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CLOSED' } });
  });

  it('is closed after it has begun when that is asked for meanwhile', async () => {
    const db = new PgMultiverse();
    const begun = db.initialize(main());
    await db.close();
    await begun;
    await expect(db.query('SELECT 1')).rejects.toThrow('not initialized');
  });

  it('is closed at the end of its scope', async () => {
    const db = new PgMultiverse();
    await db.initialize(main());
    await db[Symbol.asyncDispose]();
    await expect(db.query('SELECT 1')).rejects.toThrow('not initialized');
  });

  it('reads from the replica and writes to the primary', async () => {
    const [standby] = server.standbys;
    if (standby === undefined) throw new Error('no standby');
    const db = new PgMultiverse();
    await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), replicas: [addressOf(standby.uri)] } });
    const where = 'SELECT pg_is_in_recovery() AS replica';
    await db.query('CREATE TABLE routed (a int)');
    await eventually(async () => expect((await db.query(where)).rows).toEqual([{ replica: true }]));
    expect((await db.query(where, [], { operation: 'write' })).rows).toEqual([{ replica: false }]);
    expect((await db.query(where, [], { readPreference: 'primary' })).rows).toEqual([{ replica: false }]);
    expect((await db.query(where, [], { consistencyLevel: 'strong' })).rows).toEqual([{ replica: false }]);
    expect((await db.query('INSERT INTO routed VALUES (1) RETURNING a, pg_is_in_recovery() AS replica')).rows).toEqual([{ a: 1, replica: false }]);
    const client = await db.getConnection({ operation: 'read' });
    expect((await client.query(where)).rows).toEqual([{ replica: true }]);
    expect(client._clusterMetadata).toEqual({ clusterId: 'main', schema: undefined, pool: 'main_replica_0' });
    client.release();
    await db.close();
  });
});

it('reads of consistency session see what the instance has written, from the replica once it has it', async () => {
  const [standby] = server.standbys;
  if (standby === undefined) throw new Error('no standby');
  const db = new PgMultiverse();
  await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), replicas: [addressOf(standby.uri)], consistencyLevel: 'session' } });
  await db.query('CREATE TABLE remembered (a int)');
  await db.query("CREATE FUNCTION remember() RETURNS void LANGUAGE sql AS 'INSERT INTO remembered VALUES (2)'");
  const session = /** @type {const} */ ({ consistencyLevel: 'session' });
  const where = async () => (await db.query('SELECT pg_is_in_recovery() AS replica, count(*)::int AS rows FROM remembered', [], session)).rows[0];
  await eventually(async () => expect(await where()).toEqual({ replica: true, rows: 0 }));
  await standby.psql('SELECT pg_wal_replay_pause()');
  try {
    await db.query('INSERT INTO remembered VALUES (1)', [], session);
    expect(await where()).toEqual({ replica: false, rows: 1 });
  } finally {
    await standby.psql('SELECT pg_wal_replay_resume()');
  }
  await eventually(async () => expect(await where()).toEqual({ replica: true, rows: 1 }));
  // A query writes too, by what it calls: on a pool, and on a pinned connection.
  const client = await db.getConnection();
  let rows = 1;
  for (const remember of [() => db.query('SELECT remember()', [], session), () => client.query('SELECT remember()')]) {
    await standby.psql('SELECT pg_wal_replay_pause()');
    try {
      await remember();
      rows += 1;
      expect(await where()).toEqual({ replica: false, rows });
    } finally {
      await standby.psql('SELECT pg_wal_replay_resume()');
    }
    await eventually(async () => expect(await where()).toEqual({ replica: true, rows }));
  }
  client.release();
  await db.close();
});

describe('a configuration in a file', () => {
  it('is applied live when it changes, and stays in force while the file is wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'replicaverse-config-'));
    const configPath = join(folder, 'clusters.json');
    const write = (/** @type {unknown} */ clusters) => writeFile(configPath, JSON.stringify(clusters));
    const db = new PgMultiverse({ configPath });
    /** @type {unknown[]} */
    const reloads = [];
    /** @type {any[]} */
    const errors = [];
    db.on('configReloaded', (event) => reloads.push(event));
    db.on('error', (error) => errors.push(error));
    try {
      await write(main());
      await db.initialize();
      await write({ main: { ...main().main, schemas: ['public', 'shop'] }, second: { ...main().main, schemas: ['archive'] } });
      await eventually(() => expect(reloads).toEqual([{ clusters: 2, schemas: 3 }]));
      expect((await db.query('SELECT 1', [], { schema: 'archive' })).clusterId).toBe('second');
      await write({ main: { schemas: [] } });
      await eventually(() => expect(errors.length).toBeGreaterThan(0));
      expect(errors[0].message).toContain('main');
      expect((await db.query('SELECT 1', [], { schema: 'archive' })).clusterId).toBe('second');
      expect(db.validateConfig()).toMatchObject({ valid: true, errors: [] });
    } finally {
      await db.close();
      await rm(folder, { recursive: true });
    }
  });

  it('must be there and right from the start', async () => {
    await expect(new PgMultiverse({ configPath: '/nowhere/clusters.json' }).initialize()).rejects.toThrow('Failed to load config from /nowhere/clusters.json: ');
  });
});

describe('a process', () => {
  it.each(['close', 'forget'])('ends at once after its last query (%s)', async (ending) => {
    const child = spawn(process.execPath, [program('ending-process.mjs'), server.uri, ending], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, output }).toEqual({ status: 0, output: 'answered\n' });
  });
});

describe('worker threads', () => {
  it('load and leave the addon many times, also in the middle of a query', { timeout: 120_000 }, async () => {
    for (let round = 0; round < 25; round += 1) {
      const workers = Array.from({ length: 4 }, (_, at) => new Worker(program('worker.mjs'), { workerData: { uri: server.uri, leaves: ['close', 'forget', 'midway', 'exit'][at] } }));
      const codes = await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))));
      expect(codes).toEqual([0, 0, 0, 0]);
    }
    await eventually(async () => expect(await server.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")).toBe('0'));
  });
});

it('one pool alone runs queries and tells what it does', async () => {
  const pool = new ConnectionPool({ ...addressOf(server.uri), clusterId: 'main', role: 'replica', replicaIndex: 1, max: 2 });
  /** @type {unknown[]} */
  const told = [];
  for (const event of /** @type {const} */ (['connectionAcquired', 'connectionReleased', 'poolClosed'])) pool.on(event, (id) => told.push([event, id]));
  expect(await pool.testConnection()).toBe(true);
  expect(pool.getInfo()).toEqual({ poolId: 'main_replica_1', clusterId: 'main', role: 'replica', replicaIndex: 1, isReady: true, isClosed: false });
  expect((await pool.query('SELECT $1::int AS a', [1])).rows).toEqual([{ a: 1 }]);
  const client = await pool.getConnection();
  client.release();
  expect(pool.getMetrics()).toMatchObject({ acquired: 1, released: 1, poolId: 'main_replica_1' });
  await pool.close();
  await pool.close();
  await expect(pool.query('SELECT 1')).rejects.toThrow('Connection pool main_replica_1 is closed');
  expect(told).toEqual([['connectionAcquired', 'main_replica_1'], ['connectionReleased', 'main_replica_1'], ['poolClosed', 'main_replica_1']]);
});

it('a manager of clusters runs queries, and writes elsewhere after a failover', async () => {
  const manager = new ClusterManager();
  await expect(manager.executeQuery('SELECT 1')).rejects.toThrow('ClusterManager not initialized');
  const address = addressOf(server.uri);
  await manager.initialize({ main: { primary: address, replicas: [{ ...address, database: 'postgres' }] } });
  const where = async () => (await manager.executeQuery('SELECT current_database() AS name', [], { operation: 'write' })).rows[0].name;
  expect(await where()).toBe('app');
  /** @type {unknown[]} */
  const told = [];
  manager.on('failover', (event) => told.push(event));
  await manager.forceFailover('main');
  expect(await where()).toBe('postgres');
  await eventually(() => expect(told).toEqual([{ clusterId: 'main', newPrimary: 'main_replica_0', oldPrimary: 'main_primary' }]));
  await expect(manager.forceFailover('main', 5)).rejects.toThrow('No replicas available for failover in cluster: main');
  for (const index of ['0', 0.5, null]) await expect(manager.forceFailover('main', /** @type {any} */ (index))).rejects.toMatchObject({ kind: 'Config', code: 'ERR_CONFIG' });
  await expect(manager.forceFailover('main', 0, { promote: /** @type {any} */ ('yes') })).rejects.toMatchObject({ kind: 'Config', code: 'ERR_CONFIG' });
  await expect(manager.forceHealthCheck('x')).rejects.toThrow('Cluster x not found');
  expect((await manager.forceHealthCheck('main')).healthy).toBe(true);
  expect(manager.getStats().totalQueries).toBe(2);
  expect(manager.getClusters().get('main')).toMatchObject({ status: 'active', pools: { primary: 'main_replica_0', replicas: ['main_primary'] } });
  await manager.close();
});

it('the names of pg-multiverse lead to it', async () => {
  expect([root, MultiClusterPostgres]).toEqual([PgMultiverse, PgMultiverse]);
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  const connection = { host: 'h', port: 1, database: 'd', user: 'u', password: 'p' };
  expect([isDatabaseConnection(connection), isDatabaseConnection({ ...connection, port: '1' }), isDatabaseConnection(null)]).toEqual([true, false, false]);
  expect([isClusterConfig({ id: 'a', schemas: [], primary: connection }), isClusterConfig({ primary: connection })]).toEqual([true, false]);
  expect([isQueryResult({ rows: [], rowCount: 0, command: 'SELECT' }), isQueryResult({ rows: [] }), isQueryResult(undefined)]).toEqual([true, false, false]);
});
