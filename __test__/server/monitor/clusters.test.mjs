// The dashboard over the clusters of a PgMultiverse.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PgMultiverse, startMonitor } from 'replicaverse';
import { eventually, startPostgres } from '../../support/index.mjs';
import { addressOf } from '../pg-multiverse/clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres({ standbys: 1 });
});
afterAll(() => server.remove());

it('shows clusters as projects with primary, replicas and their health, follows them, and gives their figures to Prometheus', async () => {
  const [standby] = server.standbys;
  if (standby === undefined) throw new Error('no standby');
  const clusters = new PgMultiverse({ cluster: { healthCheckInterval: 100 } });
  const monitor = await startMonitor({ manager: clusters, port: 0, pollMs: 20 });
  /**
   * @param {string} path
   * @returns {Promise<any>}
   */
  const ask = async (path) => (await fetch(monitor.url + path)).json();
  try {
    expect([await ask('/api/replicas'), await ask('/api/rules'), await ask('/api/concerns')]).toEqual([{}, [], []]);
    expect((await fetch(`${monitor.url}/metrics`)).status).toBe(200);
    await clusters.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), replicas: [addressOf(standby.uri)] } });
    await clusters.query('SELECT 1');
    await eventually(async () => (await ask('/api/replicas')).main?.[1].state === 'up');
    expect(await ask('/api/replicas')).toMatchObject({
      main: [
        { name: 'main_primary', role: 'master', dialect: 'postgres', state: 'up' },
        { name: 'main_replica_0', role: 'slave', dialect: 'postgres', state: 'up' },
      ],
    });
    const metrics = await (await fetch(`${monitor.url}/metrics`)).text();
    expect(metrics).toContain('replicaverse_replica_up{project="main",replica="main_primary",role="master"} 1\n');
    expect(metrics).toContain('replicaverse_pg_queries_total{cluster="main",operation="read"} 1\n');
    await standby.kill();
    await eventually(async () => (await ask('/api/replicas')).main[1].state === 'down');
    await eventually(async () => {
      /** @type {{ type: string, replica?: string, state?: string }[]} */
      const events = await ask('/api/events');
      return events.some(({ type, replica, state }) => type === 'replica.state' && replica === 'main_replica_0' && state === 'down');
    });
  } finally {
    await clusters.close();
    await monitor.stop();
  }
});
