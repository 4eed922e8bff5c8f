// Failovers under load, by a keeper that acts as Patroni does; `npm run soak -- --of clusters` runs more seeds.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { runFailover } from '../../soak/cluster-failover.mjs';
import { eventually, startPostgres } from '../../support/index.mjs';
import { PostgresPair } from '../../support/postgres-pair.mjs';
import { addressOf } from './clients.mjs';

describe('failovers under load', () => {
  /** @type {PostgresPair} */
  let pair;
  beforeAll(async () => {
    pair = await PostgresPair.start();
  });
  afterAll(() => pair.remove());

  it.each([1, 2, 3])('lose nothing that was acknowledged (seed %i)', { timeout: 180_000 }, async (seed) => {
    const report = await runFailover({ seed, pair });
    expect(report.acknowledged).toBeGreaterThan(70);
  });
});

describe('a cluster of two servers', () => {
  /** @type {Awaited<ReturnType<typeof startPostgres>>} */
  let server;
  beforeEach(async () => {
    server = await startPostgres({ standbys: 1 });
  });
  afterEach(() => server.remove());

  /**
   * A client of the cluster, and its standby.
   *
   * @param {import('replicaverse/pg-multiverse').ClusterManagerConfig} [cluster]
   */
  async function connect(cluster = {}) {
    const [standby] = server.standbys;
    if (standby === undefined) throw new Error('no standby');
    const db = new PgMultiverse({ cluster });
    const start = () => db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), replicas: [addressOf(standby.uri)] } });
    return { db, standby, start };
  }

  it('tells of its failover, and names stay what they were', async () => {
    const { db, standby, start } = await connect({ maxFailuresBeforeMarkDown: 2 });
    /** @type {any[]} */
    const told = [];
    for (const event of /** @type {const} */ (['clusterDown', 'clusterRecovered', 'clusterUp', 'failover'])) db.on(event, (/** @type {any} */ details) => told.push({ event, ...details }));
    await start();
    await db.query('CREATE TABLE moved (a int)');
    await standby.waitUntilCaughtUp();
    await server.kill();
    const waiting = db.query('INSERT INTO moved VALUES (1)');
    await eventually(() => expect(told).toMatchObject([{ event: 'clusterDown', clusterId: 'main', health: { clusterId: 'main', healthy: false } }]));
    expect(told[0].reason).toContain('main_primary');
    await standby.promote();
    await waiting;
    await eventually(() => expect(told.map(({ event }) => event)).toEqual(['clusterDown', 'failover', 'clusterRecovered']));
    expect(told[1]).toEqual({ event: 'failover', clusterId: 'main', newPrimary: 'main_replica_0', oldPrimary: 'main_primary' });
    expect(told[2].downtime).toBeGreaterThan(0);
    expect(db.metricsText()).toContain('replicaverse_pg_server_primary{cluster="main",server="main_replica_0"} 1\n');
    expect((await db.healthCheck())['main']).toMatchObject({ healthy: false, error: expect.stringContaining('main_primary') });
    await server.start();
    await eventually(async () => {
      await db.healthCheck();
      return expect(told.slice(3)).toMatchObject([{ event: 'clusterUp', clusterId: 'main', health: { healthy: true } }]);
    });
    await db.close();
  });

  it('promotes a replica when it is asked to', async () => {
    const { db, standby, start } = await connect();
    await start();
    await db.query('CREATE TABLE promoted (a int)');
    const writes = Array.from({ length: 50 }, (_, a) => db.query('INSERT INTO promoted VALUES ($1)', [a]));
    await db.forceFailover('main', 0, { promote: true });
    writes.push(db.query('INSERT INTO promoted VALUES (50)'));
    await Promise.all(writes);
    expect(await standby.psql('SELECT count(*), pg_is_in_recovery() FROM promoted')).toBe('51|f');
    await expect(db.forceFailover('main', 5, { promote: true })).rejects.toMatchObject({ code: 'ERR_NO_REPLICA' });
    await db.close();
  });

  it('is used as it is when its standby was promoted before the start', async () => {
    const { db, standby, start } = await connect();
    await server.kill();
    await standby.promote();
    await start();
    expect((await db.query('SELECT pg_is_in_recovery() AS standby', [], { operation: 'write' })).rows).toEqual([{ standby: false }]);
    await db.close();
  });
});
