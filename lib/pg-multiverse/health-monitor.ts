// The health of all clusters, as the engine tells it by itself or when asked.
import type { EngineClient } from './engine-client.js';
import type { ClusterEvent, ClusterFigures, ServerSign } from './engine-reports.js';
import { type ClusterHealth, clusterHealth } from './metrics.js';

/** Told of clusters that stop or start to take writes, and of writes that go to another server. */
export interface HealthListener {
  down(clusterId: string, reason: string, health: ClusterHealth): void;
  /** @param downtime milliseconds */
  recovered(clusterId: string, downtime: number, health: ClusterHealth): void;
  failover(clusterId: string, newPrimary: string, oldPrimary: string): void;
  /** What transactions have left prepared cannot be ended by the role that is used. */
  left(clusterId: string, problem: string): void;
}

/** What is known of a cluster. */
interface Standing {
  /** Checks in a row in which a server failed. */
  failures: number;
  isDown: boolean;
  health: ClusterHealth | undefined;
}

/** Keeps what is known of the health of clusters. The engine looks at them from time to time; whoever asks has it look now. */
export class HealthMonitor {
  readonly #engine: EngineClient;
  readonly #listener: HealthListener;
  readonly #standings = new Map<string, Standing>();
  readonly #start = performance.now();

  constructor(engine: EngineClient, listener: HealthListener) {
    this.#engine = engine;
    this.#listener = listener;
    engine.listen((event) => this.#hear(event));
  }

  /** Seconds since the monitor was made. */
  get uptime(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Whether no server of a cluster takes writes. */
  isDown(clusterId: string): boolean {
    return this.#standings.get(clusterId)?.isDown === true;
  }

  /** What the last check found. */
  healthOf(clusterId: string): ClusterHealth | undefined {
    return this.#standings.get(clusterId)?.health;
  }

  /** Asks every server now. */
  async check(): Promise<Record<string, ClusterHealth>> {
    return this.#enterAll(await this.#engine.health());
  }

  #hear(event: ClusterEvent): void {
    switch (event.event) {
      case 'checked':
        this.#enterAll(event.health);
        break;
      case 'down': {
        const health = this.#enterOne(event.cluster, event.health);
        this.#standingOf(event.cluster).isDown = true;
        this.#listener.down(event.cluster, event.reason, health);
        break;
      }
      case 'recovered': {
        const health = this.#enterOne(event.cluster, event.health);
        this.#standingOf(event.cluster).isDown = false;
        this.#listener.recovered(event.cluster, Math.round(event.downtime), health);
        break;
      }
      case 'failover':
        this.#listener.failover(event.cluster, event.newPrimary, event.oldPrimary);
        break;
      case 'left':
        this.#listener.left(event.cluster, event.problem);
        break;
    }
  }

  #enterAll(signs: readonly ServerSign[]): Record<string, ClusterHealth> {
    const found = this.#engine.figures().map((figures): [string, ClusterHealth] => [figures.id, this.#enter(figures, signs)]);
    return Object.fromEntries(found);
  }

  #enterOne(clusterId: string, signs: readonly ServerSign[]): ClusterHealth {
    const figures = this.#engine.figures().find(({ id }) => id === clusterId) ?? noFigures(clusterId);
    return this.#enter(figures, signs);
  }

  #enter(figures: ClusterFigures, signs: readonly ServerSign[]): ClusterHealth {
    const standing = this.#standingOf(figures.id);
    const own = signs.filter((sign) => sign.cluster === figures.id);
    standing.failures = own.some((sign) => sign.error !== null) ? Math.max(standing.failures + 1, figures.failures) : 0;
    standing.health = clusterHealth(figures, own, standing.failures, this.uptime);
    return standing.health;
  }

  #standingOf(clusterId: string): Standing {
    let standing = this.#standings.get(clusterId);
    if (standing === undefined) {
      standing = { failures: 0, isDown: false, health: undefined };
      this.#standings.set(clusterId, standing);
    }
    return standing;
  }
}

/** The figures of a cluster that has left the configuration before its event was heard. */
function noFigures(id: string): ClusterFigures {
  const latency = { bounds: [], counts: [], total: 0 };
  return { id, reads: 0, writes: 0, errors: 0, cacheHits: 0, cacheMisses: 0, followsLog: false, totalDuration: 0, readLatency: latency, writeLatency: latency, failures: 0, isDown: false, servers: [] };
}
