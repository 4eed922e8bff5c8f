// The pool of one server, on its own.
import { EventEmitter } from 'node:events';
import { closedError } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import type { ConnectionPoolConfig, DatabaseConnection } from './config-types.js';
import { EngineClient } from './engine-client.js';
import type { ServerFigures } from './engine-reports.js';
import { errorOfFailure } from './failures.js';
import { PooledClient } from './pooled-client.js';
import { QueryRunner } from './query-running.js';
import type { AnyRow, QueryConfig, QueryOptions, QueryResult, RouteOptions } from './types.js';
import { ValueParsers } from './value-parsers.js';

/** How a server is reached, and the size of its pool. */
export interface ServerPoolConfig extends DatabaseConnection, ConnectionPoolConfig {
  clusterId: string;
  role: 'primary' | 'replica';
  /** Of a replica, from 0. */
  replicaIndex?: number;
}

/** The events of a pool; each tells the pool's id. */
export interface ConnectionPoolEvents {
  poolReady: [poolId: string];
  connectionAcquired: [poolId: string];
  connectionReleased: [poolId: string];
  poolClosed: [poolId: string];
  error: [error: unknown, poolId: string];
}

/** The figures of a pool. */
export interface ConnectionPoolMetrics {
  created: number;
  destroyed: number;
  acquired: number;
  released: number;
  active: number;
  idle: number;
  waiting: number;
  total: number;
  poolId: string;
  clusterId: string;
  role: 'primary' | 'replica';
  config: { min: number; max: number; idle: number; waiting: number };
}

const DEFAULT_MIN = 2;
const DEFAULT_MAX = 20;
const NO_RETRY = { retryAttempts: 0, retryDelay: 0 };

/** Connections to one server. It connects by itself. */
export class ConnectionPool extends EventEmitter<ConnectionPoolEvents> {
  readonly #config: ServerPoolConfig;
  readonly #id: string;
  readonly #engine: EngineClient;
  readonly #runner: QueryRunner;
  #acquired = 0;
  #released = 0;
  #isReady = false;
  #closing: Promise<void> | undefined = undefined;

  /** @throws an error of kind `Config` that names the setting. */
  constructor(config: ServerPoolConfig) {
    super();
    this.#config = config;
    const { clusterId, role, replicaIndex = 0 } = config;
    this.#id = role === 'replica' ? `${clusterId}_replica_${replicaIndex}` : `${clusterId}_primary`;
    // Whatever the server is in its cluster, here it is alone.
    this.#engine = new EngineClient({ [clusterId]: aloneInCluster(config) }, {}, new ValueParsers());
    this.#runner = new QueryRunner(this.#engine, NO_RETRY, () => undefined);
    void this.warmup().catch(() => undefined);
  }

  /** `<cluster>_primary` or `<cluster>_replica_<i>`. */
  getId(): string {
    return this.#id;
  }

  getInfo(): { poolId: string; clusterId: string; role: 'primary' | 'replica'; replicaIndex?: number; isReady: boolean; isClosed: boolean } {
    const { clusterId, role, replicaIndex } = this.#config;
    const place = replicaIndex === undefined ? {} : { replicaIndex };
    return { poolId: this.#id, clusterId, role, ...place, isReady: this.#isReady, isClosed: this.#closing !== undefined };
  }

  /** Pins a connection, which must be released. */
  async getConnection(): Promise<PooledClient> {
    this.#checkOpen();
    const session = await this.#engine.openSession({});
    this.#acquired += 1;
    this.#tell('connectionAcquired', this.#id);
    return new PooledClient(this.#engine, this.#runner, { ...session, server: this.#id }, undefined, () => {
      this.#released += 1;
      this.#tell('connectionReleased', this.#id);
    });
  }

  /** Runs a statement on any connection. */
  async query<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: Omit<QueryOptions, keyof RouteOptions>): Promise<QueryResult<T>> {
    this.#checkOpen();
    return this.#runner.query<T>(sql, params, options);
  }

  /** Whether the server answers. Why it does not is told by the event `error`, if somebody listens. */
  async testConnection(): Promise<boolean> {
    const failure = (await this.#engine.health()).find((sign) => sign.error !== null)?.error;
    if (failure == null) {
      if (!this.#isReady) this.#tell('poolReady', this.#id);
      this.#isReady = true;
      return true;
    }
    if (this.listenerCount('error') > 0) this.#tell('error', errorOfFailure(failure), this.#id);
    return false;
  }

  /** Resolves when the server answers. */
  async warmup(): Promise<void> {
    this.#checkOpen();
    await this.testConnection();
  }

  getMetrics(): ConnectionPoolMetrics {
    const { clusterId, role, min = DEFAULT_MIN, max = DEFAULT_MAX } = this.#config;
    const { active = 0, idle = 0, waiting = 0, created = 0, destroyed = 0 }: Partial<ServerFigures> =
      (this.#closing === undefined ? this.#engine.figures()[0]?.servers[0] : undefined) ?? {};
    const counted = { created, destroyed, acquired: this.#acquired, released: this.#released };
    return { ...counted, active, idle, waiting, total: active + idle, poolId: this.#id, clusterId, role, config: { min, max, idle, waiting } };
  }

  /** Closes all connections; queries on their way fail. Closing again does nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#engine.close().then(() => this.#tell('poolClosed', this.#id));
    return this.#closing;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(`Connection pool ${this.#id} is closed`);
  }

  #tell<E extends keyof ConnectionPoolEvents>(event: E, ...args: ConnectionPoolEvents[E]): void {
    tellListeners(this, event, args);
  }
}

const POOL_SETTINGS = ['min', 'max', 'acquireTimeoutMillis', 'createTimeoutMillis', 'idleTimeoutMillis', 'maxLifetimeMillis', 'warmupConnections', 'prepare'] as const;

/** The configuration of a cluster of this server alone. */
function aloneInCluster(config: ServerPoolConfig): object {
  const settings = new Set<string>(POOL_SETTINGS);
  const entries = Object.entries(config).filter(([name]) => !['clusterId', 'role', 'replicaIndex'].includes(name));
  const pool = entries.filter(([name]) => settings.has(name));
  // `idleTimeoutMillis` means the same in both places.
  const primary = entries.filter(([name]) => !settings.has(name));
  return { primary: Object.fromEntries(primary), connectionPool: Object.fromEntries(pool) };
}
