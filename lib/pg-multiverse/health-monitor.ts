// The periodic look at the health of all clusters: which went down, and which came back.
import type { ClusterFigures, EngineClient, ServerSign } from './engine-client.js';
import { type ClusterHealth, clusterHealth } from './metrics.js';

/** Told of clusters whose primary stops or starts to answer. */
export interface HealthListener {
  down(clusterId: string, reason: string, health: ClusterHealth): void;
  /** @param downtime milliseconds */
  recovered(clusterId: string, downtime: number, health: ClusterHealth): void;
}

/** How often it looks, in milliseconds, and what it makes of failures. */
export interface HealthSettings {
  readonly healthCheckInterval: number;
  readonly recoveryCheckInterval: number;
  readonly maxFailuresBeforeMarkDown: number;
}

/** What is known of a cluster. */
interface Standing {
  failures: number;
  /** When it was found to be down. */
  downSince: number | undefined;
  health: ClusterHealth | undefined;
}

/** Looks at the health of clusters, by itself from time to time or when asked. */
export class HealthMonitor {
  readonly #engine: EngineClient;
  readonly #settings: HealthSettings;
  readonly #listener: HealthListener;
  readonly #standings = new Map<string, Standing>();
  readonly #start = performance.now();
  #timer: NodeJS.Timeout | undefined = undefined;
  #isStopped = false;

  constructor(engine: EngineClient, settings: HealthSettings, listener: HealthListener) {
    this.#engine = engine;
    this.#settings = settings;
    this.#listener = listener;
    this.#plan();
  }

  /** Seconds since the monitor was made. */
  get uptime(): number {
    return (performance.now() - this.#start) / 1000;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** The clusters that are down. */
  isDown(clusterId: string): boolean {
    return this.#standings.get(clusterId)?.downSince !== undefined;
  }

  /** What the last check found. */
  healthOf(clusterId: string): ClusterHealth | undefined {
    return this.#standings.get(clusterId)?.health;
  }

  /** Asks every server now. */
  async check(): Promise<Record<string, ClusterHealth>> {
    const signs = await this.#engine.health();
    const found = this.#engine.figures().map((figures): [string, ClusterHealth] => {
      const own = signs.filter((sign) => sign.cluster === figures.id);
      return [figures.id, this.#enter(figures, own)];
    });
    return Object.fromEntries(found);
  }

  #enter(figures: ClusterFigures, signs: readonly ServerSign[]): ClusterHealth {
    const standing = this.#standings.get(figures.id) ?? { failures: 0, downSince: undefined, health: undefined };
    this.#standings.set(figures.id, standing);
    const failed = signs.some((sign) => sign.error !== null);
    standing.failures = failed ? standing.failures + 1 : 0;
    const health = clusterHealth(figures, signs, standing.failures, this.uptime);
    standing.health = health;
    const isPrimaryDown = signs.some((sign) => sign.isPrimary && sign.error !== null);
    if (isPrimaryDown) this.#noteDown(standing, health);
    else this.#noteUp(standing, health);
    return health;
  }

  #noteDown(standing: Standing, health: ClusterHealth): void {
    if (standing.downSince !== undefined || standing.failures < this.#settings.maxFailuresBeforeMarkDown) return;
    standing.downSince = performance.now();
    this.#listener.down(health.clusterId, health.error ?? '', health);
  }

  #noteUp(standing: Standing, health: ClusterHealth): void {
    if (standing.downSince === undefined) return;
    const downtime = Math.round(performance.now() - standing.downSince);
    standing.downSince = undefined;
    this.#listener.recovered(health.clusterId, downtime, health);
  }

  #plan(): void {
    const isAnyDown = [...this.#standings.values()].some((standing) => standing.downSince !== undefined);
    const { healthCheckInterval, recoveryCheckInterval } = this.#settings;
    const delay = isAnyDown ? Math.min(recoveryCheckInterval, healthCheckInterval) : healthCheckInterval;
    this.#timer = setTimeout(() => void this.#checkAndPlan(), delay);
    // Looking at servers is no reason for a process to stay alive.
    this.#timer.unref();
  }

  async #checkAndPlan(): Promise<void> {
    // An engine that was closed meanwhile has nothing to tell.
    await this.check().catch(() => undefined);
    if (!this.#isStopped) this.#plan();
  }
}
