// When clusters are looked at, and when they count as down or up again.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClusterFigures, EngineClient, ServerSign } from '../../../dist/pg-multiverse/engine-client.js';
import { HealthMonitor, type HealthSettings } from '../../../dist/pg-multiverse/health-monitor.js';

const FAILURE = JSON.stringify({ kind: 'Connect', message: 'nobody listens', causes: [] });

/** An engine whose clusters are down as a test says. */
class FakeEngine {
  readonly down = new Set<string>();
  checks = 0;

  constructor(readonly clusters: readonly string[]) {}

  health(): Promise<ServerSign[]> {
    this.checks += 1;
    return Promise.resolve(this.clusters.map((cluster) => ({ cluster, server: `${cluster}_primary`, isPrimary: true, responseTime: 1, error: this.down.has(cluster) ? FAILURE : null })));
  }

  figures(): ClusterFigures[] {
    return this.clusters.map((id) => ({ id, reads: 0, writes: 0, errors: 0, cacheHits: 0, cacheMisses: 0, followsLog: false, totalDuration: 0, servers: [] }));
  }
}

let monitor: HealthMonitor | undefined;
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  monitor?.stop();
  vi.useRealTimers();
});

function watch(engine: FakeEngine, settings: Partial<HealthSettings>): string[] {
  const told: string[] = [];
  const all = { healthCheckInterval: 30_000, recoveryCheckInterval: 60_000, maxFailuresBeforeMarkDown: 3, ...settings };
  monitor = new HealthMonitor(engine as unknown as EngineClient, all, {
    down: (clusterId) => told.push(`${clusterId} down`),
    recovered: (clusterId, downtime) => told.push(`${clusterId} up after ${downtime}`),
  });
  return told;
}

describe('a health monitor', () => {
  it('looks every healthCheckInterval', async () => {
    const engine = new FakeEngine(['a']);
    watch(engine, { healthCheckInterval: 500 });
    await vi.advanceTimersByTimeAsync(499);
    expect(engine.checks).toBe(0);
    await vi.advanceTimersByTimeAsync(1501);
    expect(engine.checks).toBe(4);
  });

  it('marks a cluster as down after maxFailuresBeforeMarkDown checks in a row that failed', async () => {
    const engine = new FakeEngine(['a']);
    const told = watch(engine, { healthCheckInterval: 100, maxFailuresBeforeMarkDown: 3 });
    engine.down.add('a');
    await vi.advanceTimersByTimeAsync(200);
    engine.down.clear();
    await vi.advanceTimersByTimeAsync(100);
    engine.down.add('a');
    await vi.advanceTimersByTimeAsync(200);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(100);
    expect(told).toEqual(['a down']);
    expect(monitor?.isDown('a')).toBe(true);
  });

  it.each([
    { healthCheckInterval: 100, recoveryCheckInterval: 1000, after: 1000 },
    { healthCheckInterval: 100_000, recoveryCheckInterval: 50, after: 50 },
  ])('looks at a cluster that is down every recoveryCheckInterval: $recoveryCheckInterval', async ({ after, ...intervals }) => {
    const engine = new FakeEngine(['a', 'b']);
    const told = watch(engine, { ...intervals, maxFailuresBeforeMarkDown: 1 });
    engine.down.add('a');
    await monitor?.check();
    engine.down.clear();
    await vi.advanceTimersByTimeAsync(after - 1);
    expect(told).toEqual(['a down']);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(['a down', `a up after ${after}`]);
  });

  it('looks no more when it is stopped, and waits no shorter than the longest delay of a timer', async () => {
    const engine = new FakeEngine(['a']);
    watch(engine, { healthCheckInterval: 0xffff_ffff });
    await vi.advanceTimersByTimeAsync(1000);
    monitor?.stop();
    await vi.advanceTimersByTimeAsync(2 ** 31);
    expect(engine.checks).toBe(0);
  });
});
