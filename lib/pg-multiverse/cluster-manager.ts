// Clusters behind one query: their engine, their health, and what changes while they run.
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { closedError, configError, ReplicaverseError } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import { checkReplica, withoutIds, withSchema } from './cluster-changes.js';
import { checkClusters } from './cluster-file.js';
import type { EvictionReason } from './cache/cache-provider.js';
import { type CacheInvalidationCriteria, checkCriteria, nativeCriteria } from './cache/invalidation.js';
import type { CacheConfig } from './cache/config.js';
import { SharedResults } from './cache/redis/shared-results.js';
import { type NativeCacheSettings, nativeCacheSettings } from './cache/settings.js';
import type { ClusterConfig, ClusterManagerConfig, ClustersConfig, SchemaOptions } from './config-types.js';
import { EngineClient } from './engine-client.js';
import type { ClusterFigures } from './engine-reports.js';
import { errorOfFailure } from './failures.js';
import { HealthMonitor } from './health-monitor.js';
import { type ClusterHealth, type SystemMetrics, systemMetrics } from './metrics.js';
import { MIGRATION_TARGET, type MigrationTarget } from './migrations/migration-runs.js';
import { metricsText } from './metrics-text.js';
import type { QueryWatch } from './pending-query.js';
import { PooledClient } from './pooled-client.js';
import { QueryRunner, readNumber } from './query-running.js';
import type { QueryStream } from './query-stream.js';
import type { TransactionMetrics } from './transactions/types.js';
import type { AnyRow, QueryConfig, QueryOptions, QueryResult, QueryStreamOptions, RouteOptions } from './types.js';
import { beginTrace } from './query-tracing.js';
import { type ShardCheck, checkShards } from './sharding/shard-check.js';
import { shardsOf, withShards } from './sharding/sharded-clusters.js';
import { ValueParsers } from './value-parsers.js';

/** The events of a ClusterManager. */
export interface ClusterManagerEvents {
  initialized: [{ clusters: string[] }];
  clusterRegistered: [{ clusterId: string; config: ClusterConfig }];
  clusterDown: [{ clusterId: string; reason: string; health: ClusterHealth }];
  clusterUp: [{ clusterId: string; health: ClusterHealth }];
  /** Milliseconds that the cluster was down. */
  clusterRecovered: [{ clusterId: string; downtime: number }];
  failover: [{ clusterId: string; newPrimary: string; oldPrimary: string }];
  queryExecuted: [{ sql: string; params: readonly unknown[]; duration: number; clusterId: string }];
  queryError: [{ sql: string; params: readonly unknown[]; error: unknown; clusterId: string }];
  cacheHit: [CacheLookupEvent];
  cacheMiss: [CacheLookupEvent];
  cacheEviction: [{ key: string; reason: EvictionReason }];
  error: [error: unknown];
  closed: [];
}

/** A query that was looked for in the cache. */
export interface CacheLookupEvent {
  key: string;
  schema: string | undefined;
  clusterId: string;
}

/** A cluster as it stands. */
export interface ClusterState {
  id: string;
  status: 'active' | 'down';
  /** The pool ids of the server that takes the writes, and of the others. */
  pools: { primary: string; replicas: string[] };
  config: ClusterConfig;
}

/** What is there while the manager is initialized. */
interface Running {
  readonly engine: EngineClient;
  readonly runner: QueryRunner;
  readonly monitor: HealthMonitor;
  /** Results that other processes share. */
  readonly shared: SharedResults | undefined;
  clusters: ClustersConfig;
  /** The schemas that were entered since, which other clusters keep where they do not name them. */
  readonly registered: Map<string, { clusterId: string; options: SchemaOptions }>;
}

/** The events for which each query is watched. */
const WATCHED = ['queryExecuted', 'queryError', 'cacheHit', 'cacheMiss'] as const;
const SETTINGS = ['healthCheckInterval', 'retryAttempts', 'retryDelay', 'maxFailuresBeforeMarkDown', 'recoveryCheckInterval'] as const;
const DEFAULTS = { healthCheckInterval: 30_000, retryAttempts: 3, retryDelay: 1000, maxFailuresBeforeMarkDown: 3, recoveryCheckInterval: 60_000 };

/** Runs queries on clusters of servers, and watches over them. */
export class ClusterManager extends EventEmitter<ClusterManagerEvents> {
  /** How values of this manager's queries become JavaScript values. */
  readonly types: ValueParsers;
  readonly #settings: typeof DEFAULTS & { applicationName?: string };
  readonly #cache: CacheConfig | undefined;
  readonly #nativeCache: NativeCacheSettings | undefined;
  #running: Running | undefined = undefined;

  /** @param cache keeps results of reads; without it nothing is cached */
  constructor(config: ClusterManagerConfig = {}, cache?: CacheConfig) {
    super();
    this.types = new ValueParsers(config.types);
    this.#settings = readSettings(config);
    this.#cache = cache;
    this.#nativeCache = cache === undefined ? undefined : nativeCacheSettings(cache);
    // Telling of evictions has a price, so that the engine does it only while somebody listens.
    for (const change of ['newListener', 'removeListener'] as const) {
      this.on(change as never, ((name: string) => {
        if (name === 'cacheEviction') queueMicrotask(() => this.#watchEvictions());
      }) as never);
    }
  }

  #toldOfLog(clusterId: string, lost: string | undefined): void {
    if (lost === undefined) return;
    const message = `cluster ${clusterId}: the cache does not follow the log, and keeps nothing until it does: ${lost}`;
    this.#tell('error', new ReplicaverseError(message, { kind: 'Capture', code: 'ERR_CAPTURE', retryable: true }));
  }

  #watchEvictions(): void {
    const engine = this.#running?.engine;
    if (engine === undefined || engine.isClosed) return;
    const isWanted = this.listenerCount('cacheEviction') > 0;
    engine.watchEvictions(isWanted ? (key, reason) => this.#tell('cacheEviction', { key, reason }) : undefined);
  }

  /**
   * Connects to the clusters. Resolves when every primary answers; a replica that does not is left out until it does.
   *
   * @throws an error of kind `Config` that names the setting, or the error of the connection.
   */
  async initialize(clusters: ClustersConfig): Promise<void> {
    if (this.#running !== undefined) throw usageError('ClusterManager already initialized', 'ERR_ALREADY_INITIALIZED');
    const configured = clusters;
    clusters = withShards(configured);
    const engine = new EngineClient(withoutIds(clusters), { ...this.#settings, cache: this.#nativeCache }, this.types);
    const runner = new QueryRunner(engine, this.#settings, (sql, params, schema) => this.#watch(sql, params, schema));
    const monitor = new HealthMonitor(engine, {
      down: (clusterId, reason, health) => this.#tell('clusterDown', { clusterId, reason, health }),
      recovered: (clusterId, downtime, health) => {
        this.#tell('clusterRecovered', { clusterId, downtime });
        this.#tell('clusterUp', { clusterId, health });
      },
      failover: (clusterId, newPrimary, oldPrimary) => this.#tell('failover', { clusterId, newPrimary, oldPrimary }),
      left: (clusterId, problem) => {
        const message = `cluster ${clusterId}: a transaction over several clusters is left as it is: ${problem}`;
        this.#tell('error', new ReplicaverseError(message, { kind: 'Transaction', code: 'ERR_TRANSACTION_LEFT' }));
      },
    });
    const shared = this.#cache?.provider === 'redis' ? new SharedResults(engine, this.#cache, (error) => this.#tell('error', error)) : undefined;
    this.#running = { engine, runner, monitor, shared, clusters: { ...clusters }, registered: new Map() };
    if (this.listenerCount('cacheEviction') > 0) this.#watchEvictions();
    if (this.#cache?.invalidate === 'wal') engine.watchLogs((clusterId, lost) => this.#toldOfLog(clusterId, lost));
    try {
      await awaitPrimaries(engine, clusters);
    } catch (error) {
      this.#running = undefined;
      shared?.close();
      await engine.close();
      throw error;
    }
    for (const [clusterId, config] of Object.entries(clusters)) this.#tell('clusterRegistered', { clusterId, config: completed(clusterId, config) });
    this.#tell('initialized', { clusters: Object.keys(configured) });
  }

  get isInitialized(): boolean {
    return this.#running !== undefined;
  }

  /** Goes over to another configuration while queries run. Servers that stay keep their connections. */
  async updateConfig(clusters: ClustersConfig): Promise<void> {
    const running = this.#require();
    const entered = [...running.registered].filter(([schema, { clusterId }]) => clusterId in clusters && !hasSchema(clusters, schema));
    const expanded = entered.reduce((clusters, [schema, { clusterId, options }]) => entering(clusters, schema, clusterId, options), withShards(clusters));
    await running.engine.reload(withoutIds(expanded));
    running.clusters = { ...expanded };
  }

  /** Enters a schema that lives on a cluster; queries asked from now on know it, also when the clusters change. */
  registerSchema(schema: string, clusterId: string, options?: SchemaOptions | null): void {
    const running = this.#require();
    const clusters = entering(running.clusters, schema, clusterId, options ?? {});
    // What is wrong is refused at once: entered, it would also keep every later change from being applied.
    const { errors } = checkClusters(withoutIds(clusters));
    if (errors.length > 0) throw configError(errors.join('; '));
    running.clusters = clusters;
    running.registered.set(schema, { clusterId, options: options ?? {} });
    running.engine.reload(withoutIds(clusters)).catch((error: unknown) => this.#tell('error', error));
  }

  /** Runs a statement; where, is decided by what it does and by the options. */
  executeQuery<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: QueryOptions | null): Promise<QueryResult<T>> {
    const running = this.#running;
    if (running === undefined) return Promise.reject(this.#notInitialized());
    return running.runner.query<T>(sql, params, options);
  }

  /** The rows of a statement, one by one, fetched no faster than they are read. */
  streamQuery<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: QueryStreamOptions | null): QueryStream<T> {
    return this.#require().runner.stream<T>(sql, params, options);
  }

  /** Pins a connection: to a primary, unless `operation: 'read'` says that a replica will do. */
  async getConnection(options: RouteOptions = {}): Promise<PooledClient> {
    const { engine, runner } = this.#require();
    const session = await engine.openSession({ operation: 'write', ...options });
    return new PooledClient(engine, runner, session, options.schema);
  }

  /** The clusters as they stand, by id. */
  getClusters(): Map<string, ClusterState> {
    const { clusters, engine, monitor } = this.#require();
    const figures = engine.figures();
    const states = Object.entries(clusters).map(([id, config]): [string, ClusterState] => {
      const servers = figures.find((cluster) => cluster.id === id)?.servers ?? [];
      const primary = servers.find(({ isPrimary }) => isPrimary)?.id ?? `${id}_primary`;
      const replicas = servers.filter(({ isPrimary }) => !isPrimary).map((server) => server.id);
      const status = monitor.isDown(id) ? 'down' : 'active';
      return [id, { id, status, pools: { primary, replicas }, config: completed(id, config) }];
    });
    return new Map(states);
  }

  /** The figures of all clusters. */
  getMetrics(): SystemMetrics {
    const { engine, monitor } = this.#require();
    return systemMetrics(engine.figures(), monitor.uptime, engine.cacheFigures());
  }

  /**
   * Drops cached results, and gives their number. Of several criteria the first of `schema`, `tags`, `cluster` and `pattern`
   * counts; with several tags, whatever has any of them is dropped.
   */
  async invalidateCache(criteria: CacheInvalidationCriteria): Promise<number> {
    const { clusters } = this.#require();
    checkCriteria(criteria);
    const { schema, tags, cluster } = criteria;
    const shards = schema !== undefined || tags !== undefined || cluster === undefined ? [] : shardsOf(clusters, cluster);
    if (shards.length === 0) return this.#invalidate(criteria);
    const counts = await Promise.all(shards.map((shard) => this.#invalidate({ cluster: shard })));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #invalidate(criteria: CacheInvalidationCriteria): Promise<number> {
    const { engine, shared } = this.#require();
    // First where all processes look: what is read there until then is dropped here afterwards.
    const elsewhere = shared === undefined ? 0 : await shared.invalidate(criteria);
    const wanted = nativeCriteria(criteria, () => engine.cacheKeys());
    return wanted === undefined ? 0 : Math.max(elsewhere, await engine.invalidateCache(wanted));
  }

  /** The figures in the text format of Prometheus, with those of transactions where they are given. */
  metricsText(transactions?: TransactionMetrics): string {
    const { engine, monitor } = this.#require();
    return metricsText(engine.figures(), monitor.uptime, { cache: engine.cacheFigures(), transactions });
  }

  /** The same in other words, with the servers of each cluster. */
  getStats(): { totalConnections: number; activeConnections: number; totalQueries: number; failedQueries: number; clusterStats: Map<string, ClusterFigures> } {
    const figures = this.#require().engine.figures();
    const servers = figures.flatMap((cluster) => cluster.servers);
    return {
      totalConnections: servers.reduce((sum, server) => sum + server.active + server.idle, 0),
      activeConnections: servers.reduce((sum, server) => sum + server.active, 0),
      totalQueries: figures.reduce((sum, { reads, writes, errors }) => sum + reads + writes + errors, 0),
      failedQueries: figures.reduce((sum, { errors }) => sum + errors, 0),
      clusterStats: new Map(figures.map((cluster) => [cluster.id, cluster])),
    };
  }

  /** Asks every server for a sign of life. Rejects for no server that is down. */
  async healthCheck(): Promise<Record<string, ClusterHealth>> {
    return this.#require().monitor.check();
  }

  /** What the last check found about a cluster. */
  getClusterHealth(clusterId: string): ClusterHealth | undefined {
    return this.#require().monitor.healthOf(clusterId);
  }

  /** Asks the servers of a cluster now. */
  async forceHealthCheck(clusterId: string): Promise<ClusterHealth> {
    const health = (await this.healthCheck())[clusterId];
    if (health === undefined) throw usageError(`Cluster ${clusterId} not found`, 'ERR_UNKNOWN_CLUSTER');
    return health;
  }

  /**
   * Sends writes to a replica from now on. Without `promote` that only changes who is asked: the replica must have been
   * promoted. With it, new writes wait, those under way end, the replica replays what the primary has written and is promoted.
   *
   * @param replicaIndex counts the configured replicas; that of the present primary stands for the configured primary
   * @throws an error of code `ERR_PROMOTION`; writes then go on to the primary there is
   */
  async forceFailover(clusterId: string, replicaIndex = 0, { promote = false }: { promote?: boolean } = {}): Promise<void> {
    const { clusters, engine } = this.#require();
    checkReplica(clusters, clusterId, replicaIndex);
    if (typeof (promote as unknown) !== 'boolean') throw configError('forceFailover: promote: expected true or false');
    await engine.failOver(clusterId, replicaIndex, promote);
  }

  /** Counts the rows of a sharded cluster on each shard, and those that belong on another one. */
  async checkShards(clusterId: string): Promise<ShardCheck> {
    const { engine, runner } = this.#require();
    return checkShards(engine, runner, clusterId);
  }

  /** Closes all connections; queries on their way fail. Closing again does nothing. */
  async close(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.shared?.close();
    await running.engine.close();
    this.#tell('closed');
  }

  /** @internal What migrations run on. */
  [MIGRATION_TARGET](): MigrationTarget {
    return this.#require();
  }

  #require(): Running {
    if (this.#running === undefined) throw this.#notInitialized();
    return this.#running;
  }

  #notInitialized(): ReplicaverseError {
    return closedError('ClusterManager not initialized');
  }

  /** Objects for events are made only when somebody listens. */
  #watch(sql: string, params: readonly unknown[], schema: string | undefined): QueryWatch | undefined {
    const trace = beginTrace(sql, params.length, (clusterId) => this.#running?.clusters[clusterId]);
    if (!WATCHED.some((event) => this.listenerCount(event) > 0)) return trace;
    return {
      succeeded: (clusterId, milliseconds, lookup) => {
        trace?.succeeded(clusterId, milliseconds, lookup);
        if (lookup !== undefined) this.#tell(lookup.isHit ? 'cacheHit' : 'cacheMiss', { key: lookup.key, schema, clusterId });
        // As in pg-multiverse, what comes from the cache was not executed.
        if (lookup?.isHit !== true) this.#tell('queryExecuted', { sql, params, duration: Math.round(milliseconds), clusterId });
      },
      failed: (error) => {
        trace?.failed(error);
        this.#tell('queryError', { sql, params, error, clusterId: 'unknown' });
      },
      left: () => trace?.left(),
    };
  }

  #tell<E extends keyof ClusterManagerEvents>(event: E, ...args: ClusterManagerEvents[E]): void {
    tellListeners(this, event, args);
  }
}

/** How long a primary that was promoted before may take to be found. */
const SEARCH_LIMIT = 3000;
const SEARCH_PAUSE = 50;

/** Resolves when every cluster has a primary that answers: the configured one, or one that was promoted in its place. */
async function awaitPrimaries(engine: EngineClient, clusters: ClustersConfig): Promise<void> {
  const deadline = performance.now() + SEARCH_LIMIT;
  for (;;) {
    const failed = (await engine.health()).filter((sign) => sign.isPrimary && sign.error !== null);
    const [first] = failed;
    if (first?.error == null) return;
    const error = errorOfFailure(first.error);
    // What is said of time alone names no server.
    if (error instanceof ReplicaverseError && error.kind === 'Timeout') error.message = `cluster ${first.cluster}: its primary: ${error.message}`;
    const hasReplicas = failed.every(({ cluster }) => (clusters[cluster]?.replicas ?? []).length > 0);
    const isRefused = (error as { kind?: string }).kind === 'Authentication';
    if (!hasReplicas || isRefused || performance.now() > deadline) throw error;
    await delay(SEARCH_PAUSE);
  }
}

/** The clusters with a schema on one of them, or on all of its shards. */
function entering(clusters: ClustersConfig, schema: string, clusterId: string, options: SchemaOptions): ClustersConfig {
  const shards = shardsOf(clusters, clusterId);
  return (shards.length > 0 ? shards : [clusterId]).reduce((changed, place) => withSchema(changed, schema, place, options), clusters);
}

function hasSchema(clusters: ClustersConfig, schema: string): boolean {
  return Object.values(clusters).some(({ schemas }) => schemas?.includes(schema) === true);
}

function completed(id: string, config: ClustersConfig[string]): ClusterConfig {
  // A cluster without a primary was refused, or replaced by its shards.
  return { priority: 1, readPreference: 'replica', consistencyLevel: 'eventual', replicas: [], schemas: [], ...config, id } as ClusterConfig;
}

function readSettings(config: ClusterManagerConfig): typeof DEFAULTS & { applicationName?: string } {
  const settings: typeof DEFAULTS & { applicationName?: string } = { ...DEFAULTS };
  for (const name of SETTINGS) settings[name] = readNumber(`cluster.${name}`, config[name], 0) ?? settings[name];
  const { applicationName } = config;
  if (applicationName !== undefined) {
    if (typeof applicationName !== 'string') throw configError('cluster.applicationName: expected text');
    settings.applicationName = applicationName;
  }
  return settings;
}

function usageError(message: string, code: string): ReplicaverseError {
  return new ReplicaverseError(message, { code });
}
