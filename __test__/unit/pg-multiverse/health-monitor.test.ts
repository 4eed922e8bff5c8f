// What is known of clusters: from checks that somebody asks for, and from what the engine tells by itself.
import { describe, expect, it } from 'vitest';
import type { EngineClient } from '../../../dist/pg-multiverse/engine-client.js';
import type { ClusterEvent, ClusterFigures, ServerSign } from '../../../dist/pg-multiverse/engine-reports.js';
import { HealthMonitor } from '../../../dist/pg-multiverse/health-monitor.js';

const FAILURE = JSON.stringify({ kind: 'Connect', message: 'nobody listens', causes: [] });
const NO_LATENCY = { bounds: [], counts: [], total: 0 };

/** An engine of one cluster that tells what a test says. */
class FakeEngine {
  isDown = false;
  tell: (event: ClusterEvent) => void = () => undefined;

  listen(hear: (event: ClusterEvent) => void): void {
    this.tell = hear;
  }

  signs(): ServerSign[] {
    return [{ cluster: 'a', server: 'a_primary', isPrimary: true, responseTime: 1, error: this.isDown ? FAILURE : null }];
  }

  health(): Promise<ServerSign[]> {
    return Promise.resolve(this.signs());
  }

  figures(): ClusterFigures[] {
    return [{ id: 'a', reads: 0, writes: 0, errors: 0, cacheHits: 0, cacheMisses: 0, followsLog: false, totalDuration: 0, readLatency: NO_LATENCY, writeLatency: NO_LATENCY, failures: 0, isDown: this.isDown, servers: [] }];
  }
}

function watch(engine: FakeEngine): { monitor: HealthMonitor; told: string[] } {
  const told: string[] = [];
  const monitor = new HealthMonitor(engine as unknown as EngineClient, {
    down: (clusterId, reason) => told.push(`${clusterId} down: ${reason}`),
    recovered: (clusterId, downtime) => told.push(`${clusterId} up after ${downtime}`),
    failover: (clusterId, newPrimary, oldPrimary) => told.push(`${clusterId} from ${oldPrimary} to ${newPrimary}`),
    left: (clusterId, problem) => told.push(`${clusterId} left: ${problem}`),
  });
  return { monitor, told };
}

describe('a health monitor', () => {
  it('counts the checks in a row in which a server failed, whoever asked for them', async () => {
    const engine = new FakeEngine();
    const { monitor } = watch(engine);
    engine.isDown = true;
    await monitor.check();
    engine.tell({ event: 'checked', health: engine.signs() });
    expect(monitor.healthOf('a')).toMatchObject({ healthy: false, failureCount: 2, error: 'a_primary: nobody listens' });
    engine.isDown = false;
    expect(await monitor.check()).toMatchObject({ a: { healthy: true, failureCount: 0 } });
  });

  it('passes on what the engine tells, and knows what is down', () => {
    const engine = new FakeEngine();
    const { monitor, told } = watch(engine);
    engine.isDown = true;
    engine.tell({ event: 'down', cluster: 'a', reason: 'gone', health: engine.signs() });
    expect(monitor.isDown('a')).toBe(true);
    engine.tell({ event: 'failover', cluster: 'a', newPrimary: 'a_replica_0', oldPrimary: 'a_primary' });
    engine.isDown = false;
    engine.tell({ event: 'recovered', cluster: 'a', downtime: 12.4, health: engine.signs() });
    expect(monitor.isDown('a')).toBe(false);
    expect(told).toEqual(['a down: gone', 'a from a_primary to a_replica_0', 'a up after 12']);
  });

  it('hears of a cluster that has left the configuration meanwhile', () => {
    const engine = new FakeEngine();
    const { told } = watch(engine);
    engine.tell({ event: 'down', cluster: 'gone', reason: 'gone', health: [] });
    expect(told).toEqual(['gone down: gone']);
  });
});
