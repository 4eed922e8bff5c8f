// The periodic look at the health of all clusters: which went down, and which came back.
import type { ClusterFigures, EngineClient, ServerSign } from './engine-client.js';
import { type ClusterHealth, clusterHealth } from './metrics.js';

/** The longest delay that timers know. */
const LONGEST_DELAY = 2 ** 31 - 1;

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
  /** When it was found to be down, by the clock of `performance`. */
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
  /** For the next look at the clusters that are up, and at those that are down. */
  #regularTimer: NodeJS.Timeout | undefined = undefined;
  #recoveryTimer: NodeJS.Timeout | undefined = undefined;
  #isStopped = false;

  constructor(engine: EngineClient, settings: HealthSettings, listener: HealthListener) {
    this.#engine = engine;
    this.#settings = settings;
    this.#listener = listener;
    this.#planRegularCheck();
  }

  /** Seconds since the monitor was made. */
  get uptime(): number {
    return (performance.now() - this.#start) / 1000;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#regularTimer);
    clearTimeout(this.#recoveryTimer);
  }

  /** Whether a cluster is down. */
  isDown(clusterId: string): boolean {
    return this.#standings.get(clusterId)?.downSince !== undefined;
  }

  /** What the last check found. */
  healthOf(clusterId: string): ClusterHealth | undefined {
    return this.#standings.get(clusterId)?.health;
  }

  /** Asks every server now. */
  async check(): Promise<Record<string, ClusterHealth>> {
    return this.#check(() => true);
  }

  /** Asks the servers, and takes note of what those of the clusters chosen say. */
  async #check(isChosen: (clusterId: string) => boolean): Promise<Record<string, ClusterHealth>> {
    const signs = await this.#engine.health();
    const chosen = this.#engine.figures().filter(({ id }) => isChosen(id));
    const found = chosen.map((figures): [string, ClusterHealth] => {
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
    this.#planRecoveryCheck();
    this.#listener.down(health.clusterId, health.error ?? '', health);
  }

  #noteUp(standing: Standing, health: ClusterHealth): void {
    if (standing.downSince === undefined) return;
    const downtime = Math.round(performance.now() - standing.downSince);
    standing.downSince = undefined;
    this.#listener.recovered(health.clusterId, downtime, health);
  }

  #planRegularCheck(): void {
    this.#regularTimer = this.#after(this.#settings.healthCheckInterval, async () => {
      await this.#check((clusterId) => !this.isDown(clusterId));
    }, () => this.#planRegularCheck());
  }

  /** A cluster that is down is looked at in its own rhythm, until it is up. */
  #planRecoveryCheck(): void {
    if (this.#recoveryTimer !== undefined) return;
    this.#recoveryTimer = this.#after(this.#settings.recoveryCheckInterval, async () => {
      this.#recoveryTimer = undefined;
      await this.#check((clusterId) => this.isDown(clusterId));
    }, () => {
      const isAnyDown = [...this.#standings.keys()].some((clusterId) => this.isDown(clusterId));
      if (isAnyDown) this.#planRecoveryCheck();
    });
  }

  #after(delay: number, check: () => Promise<void>, goOn: () => void): NodeJS.Timeout | undefined {
    if (this.#isStopped) return undefined;
    const run = async () => {
      // An engine that was closed meanwhile has nothing to tell.
      await check().catch(() => undefined);
      if (!this.#isStopped) goOn();
    };
    const timer = setTimeout(() => void run(), Math.min(delay, LONGEST_DELAY));
    // Looking at servers is no reason for a process to stay alive.
    return timer.unref();
  }
}
