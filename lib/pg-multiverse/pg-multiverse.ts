// PgMultiverse: many PostgreSQL clusters behind one query.
import { EventEmitter } from 'node:events';
import { configError, ReplicaverseError } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import { ClusterManager, type ClusterManagerEvents } from './cluster-manager.js';
import { CLUSTER_FIGURES } from './cluster-figures.js';
import type { CacheConfig } from './cache/config.js';
import type { CacheInvalidationCriteria } from './cache/invalidation.js';
import type { ClusterManagerConfig, ClustersConfig, SchemaOptions, ValidationResult } from './config-types.js';
import { checkClusters, ClusterFile } from './cluster-file.js';
import type { ClusterFigures } from './engine-reports.js';
import type { ClusterHealth, SystemMetrics } from './metrics.js';
import { MigrationManager } from './migrations/migration-manager.js';
import type { NewMigration } from './migrations/migration-folder.js';
import { MIGRATION_TARGET, type MigrationTarget } from './migrations/migration-runs.js';
import type { Migration, MigrationConfig, MigrationExecutionOptions, MigrationRollbackOptions, MigrationStatus } from './migrations/types.js';
import type { PooledClient } from './pooled-client.js';
import type { QueryStream } from './query-stream.js';
import type { ShardCheck } from './sharding/shard-check.js';
import { TransactionManager } from './transactions/transaction-manager.js';
import type {
  TransactionCallback,
  TransactionEvents,
  TransactionOptions,
  TransactionQueryOptions,
  WithTransactionOptions,
} from './transactions/types.js';
import type { AnyRow, QueryConfig, QueryOptions, QueryResult, QueryStreamOptions, RouteOptions } from './types.js';
import { setTypeParser, type TypeParser, types, type ValueParsers } from './value-parsers.js';

/** The configuration of a PgMultiverse. */
export interface MultiClusterConfig {
  /** What concerns all clusters. */
  cluster?: ClusterManagerConfig;
  /** Whether results may be cached; they may by default. A query is when it says `cache: true`, or its schema says so. */
  enableCache?: boolean;
  /** How much is cached, for how long, and where. */
  cache?: CacheConfig;
  /** Whether `getMetrics` tells figures; it does by default. */
  enableMetrics?: boolean;
  /** Whether there are transactions, and whether what other processes have left of theirs is finished; both by default. */
  enableTransactions?: boolean;
  /** Whether `initialize` loads migrations; it does not by default. */
  enableMigrations?: boolean;
  /** What concerns migrations. */
  migrations?: MigrationConfig;
  /** A JSON file with the clusters. It is watched: a change is applied while queries run. */
  configPath?: string;
}

/** The events of a PgMultiverse. */
export interface MultiClusterEvents extends Pick<
  ClusterManagerEvents,
  'clusterDown' | 'clusterUp' | 'clusterRecovered' | 'failover' | 'queryExecuted' | 'queryError' | 'cacheHit' | 'cacheMiss' | 'cacheEviction' | 'error' | 'closed'
>, TransactionEvents {
  initialized: [{ clusters: string[]; schemas: string[] }];
  schemaRegistered: [{ schema: string; clusterId: string; options: SchemaOptions & { clusterId: string } }];
  configReloaded: [{ clusters: number; schemas: number }];
}

const FORWARDED = ['clusterDown', 'clusterUp', 'clusterRecovered', 'failover', 'error'] as const;

/**
 * Runs queries on the clusters of a configuration: each on the cluster of its schema, writes on the primary, reads on
 * replicas. Results, values and errors are those of node-postgres.
 *
 * What a listener of an event throws does not disturb the instance: it is emitted as `error`, or without a listener for
 * that becomes a process warning.
 */
export class PgMultiverse extends EventEmitter<MultiClusterEvents> {
  /** The parsers of values that every instance starts from, as `pg.types` of node-postgres. */
  static readonly types: typeof types = types;
  /** Sets a parser for every instance, as `pg.types.setTypeParser` of node-postgres. */
  static readonly setTypeParser: typeof setTypeParser = setTypeParser;

  readonly #config: MultiClusterConfig;
  readonly #manager: ClusterManager;
  #file: ClusterFile | undefined = undefined;
  #clusters: ClustersConfig | undefined = undefined;
  #initializing: Promise<void> | undefined = undefined;
  #migrations: MigrationManager | undefined = undefined;
  #transactions: TransactionManager | undefined = undefined;

  constructor(config: MultiClusterConfig = {}) {
    super();
    if (typeof config !== 'object' || config === null) throw configError('PgMultiverse: expected an object of options');
    this.#config = config;
    this.#manager = new ClusterManager(config.cluster ?? {}, config.enableCache === false ? undefined : (config.cache ?? {}));
    for (const event of FORWARDED) this.#manager.on(event, (...args: unknown[]) => this.#tell(event, ...(args as never)));
    this.#forwardQueryEvents();
  }

  /** The manager has a listener for an event of queries only while this instance has, because such events have a price. */
  #forwardQueryEvents(): void {
    for (const event of ['queryExecuted', 'queryError', 'cacheHit', 'cacheMiss', 'cacheEviction'] as const) {
      const forward = (...args: unknown[]) => this.#tell(event, ...(args as never));
      this.on('newListener' as never, ((name: string) => {
        if (name === event && this.listenerCount(event) === 0) this.#manager.on(event, forward);
      }) as never);
      this.on('removeListener' as never, ((name: string) => {
        if (name === event && this.listenerCount(event) === 0) this.#manager.off(event, forward);
      }) as never);
    }
  }

  /**
   * Connects to clusters, or to those of `configPath`. Resolves when every primary answers; a replica that does not is left
   * out until it does.
   */
  async initialize(clusters?: ClustersConfig): Promise<void> {
    if (this.#clusters !== undefined || this.#initializing !== undefined) {
      throw new ReplicaverseError('MultiClusterPostgres already initialized', { code: 'ERR_ALREADY_INITIALIZED' });
    }
    this.#initializing = this.#initialize(clusters);
    try {
      await this.#initializing;
    } finally {
      this.#initializing = undefined;
    }
  }

  async #initialize(clusters: ClustersConfig | undefined): Promise<void> {
    try {
      const chosen = clusters ?? (await this.#loadFile());
      await this.#loadMigrations();
      await this.#manager.initialize(chosen);
      this.#clusters = chosen;
      this.#takeUpTransactions();
      this.#file?.watch();
    } catch (error) {
      this.#file?.close();
      this.#file = undefined;
      this.#migrations = undefined;
      throw error;
    }
    this.#tell('initialized', { clusters: Object.keys(this.#clusters), schemas: schemasOf(this.#clusters) });
  }

  #takeUpTransactions(): void {
    if (this.#config.enableTransactions === false) return;
    const { engine, runner } = this.#manager[MIGRATION_TARGET]();
    this.#transactions = new TransactionManager(engine, runner, () => this.#manager[MIGRATION_TARGET]().clusters, (event, ...args) => this.#tell(event, ...(args as never)));
  }

  /** Before anything is connected to: a file that cannot be loaded stops everything. */
  async #loadMigrations(): Promise<void> {
    if (this.#config.enableMigrations !== true) return;
    const migrations = new MigrationManager(this, this.#config.migrations);
    await migrations.initialize();
    this.#migrations = migrations;
  }

  async #loadFile(): Promise<ClustersConfig> {
    const { configPath } = this.#config;
    if (configPath === undefined || configPath === '') throw configError('No cluster configuration provided');
    this.#file = new ClusterFile(configPath, {
      changed: (clusters) => this.#reload(clusters),
      failed: (error) => this.#tell('error', error),
    });
    return this.#file.load();
  }

  async #reload(clusters: ClustersConfig): Promise<void> {
    await this.#manager.updateConfig(clusters);
    this.#clusters = clusters;
    this.#tell('configReloaded', { clusters: Object.keys(clusters).length, schemas: schemasOf(clusters).length });
  }

  /**
   * Runs a statement. A text of several statements gives a list of results, as with node-postgres.
   *
   * @throws a {@link DatabaseError} for what the server reports, else an error of this package; each has a `code`.
   */
  query<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: QueryOptions | null): Promise<QueryResult<T>> {
    if (this.#clusters === undefined) return Promise.reject(notInitialized());
    return this.#manager.executeQuery<T>(sql, params, options);
  }

  /** The rows of a statement, one by one, for `for await`; they are fetched no faster than they are read. */
  queryStream<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: QueryStreamOptions | null): QueryStream<T> {
    this.#require();
    return this.#manager.streamQuery<T>(sql, params, options);
  }

  /**
   * Pins a connection, which must be released: to a primary, unless `operation: 'read'` says that a replica will do.
   */
  async getConnection(options: RouteOptions = {}): Promise<PooledClient> {
    this.#require();
    return this.#manager.getConnection(options);
  }

  /**
   * Runs a function in a transaction on the clusters of schemas. It is committed on all of them when the function succeeds,
   * and rolled back on all of them when it throws.
   *
   * @throws what the function throws, or why the transaction cannot be committed. Only with the code
   * `ERR_TRANSACTION_OUTCOME_UNKNOWN` it may have been committed.
   */
  async withTransaction<R>(schemas: string | readonly string[], callback: TransactionCallback<R>, options?: WithTransactionOptions | null): Promise<R> {
    return this.#requireTransactions().within(schemas, callback, options);
  }

  /** Begins a transaction on the clusters of schemas; gives its id. It must be committed or rolled back. */
  async beginTransaction(schemas: string | readonly string[], options?: TransactionOptions | null): Promise<string> {
    return this.#requireTransactions().begin(schemas, options);
  }

  /** Runs a statement in a transaction. */
  async executeInTransaction<T = AnyRow>(
    transactionId: string,
    sql: string | QueryConfig,
    params?: readonly unknown[] | null,
    options?: TransactionQueryOptions | null,
  ): Promise<QueryResult<T>> {
    return this.#requireTransactions().execute<T>(transactionId, sql, params, options);
  }

  /** Commits a transaction, on all of its clusters or on none. */
  async commitTransaction(transactionId: string): Promise<void> {
    return this.#requireTransactions().commit(transactionId);
  }

  /** Rolls a transaction back; what is still running in it is cancelled. */
  async rollbackTransaction(transactionId: string): Promise<void> {
    return this.#requireTransactions().rollBack(transactionId);
  }

  /** Enters a schema that lives on a cluster; queries asked from now on know it. */
  registerSchema(schema: string, clusterId: string, options?: SchemaOptions | null): void {
    this.#require();
    this.#manager.registerSchema(schema, clusterId, options);
    this.#tell('schemaRegistered', { schema, clusterId, options: { clusterId, ...options } });
  }

  /** How values of this instance become JavaScript values: {@link ValueParsers.setTypeParser} sets a parser. */
  get types(): ValueParsers {
    return this.#manager.types;
  }

  /** Sets the parser of a type for this instance. */
  setTypeParser(oid: number, parser: TypeParser): void;
  setTypeParser(oid: number, format: 'text' | 'binary', parser: TypeParser): void;
  setTypeParser(oid: number, format: 'text' | 'binary' | TypeParser, parser?: TypeParser): void {
    if (typeof format === 'function') this.types.setTypeParser(oid, format);
    else this.types.setTypeParser(oid, format, parser as TypeParser);
  }

  /**
   * Drops cached results, and gives their number. Of several criteria the first of `schema`, `tags`, `cluster` and `pattern`
   * counts; with several tags, whatever has any of them is dropped.
   */
  async invalidateCache(criteria: CacheInvalidationCriteria): Promise<number> {
    return this.#clusters === undefined ? 0 : this.#manager.invalidateCache(criteria);
  }

  /** The figures of all clusters since they were connected. */
  getMetrics(): SystemMetrics {
    this.#require();
    if (this.#config.enableMetrics === false) throw configError('Metrics not enabled. Set enableMetrics: true in config.');
    const metrics = this.#manager.getMetrics();
    return this.#transactions === undefined ? metrics : { ...metrics, transactions: this.#transactions.metrics() };
  }

  /** The figures of all clusters in the text format of Prometheus. */
  metricsText(): string {
    this.#require();
    return this.#manager.metricsText(this.#transactions?.metrics());
  }

  /**
   * Sends the writes of a cluster to a replica from now on; promoted first with `promote`.
   *
   * @throws an error of code `ERR_PROMOTION`; writes then go on to the primary there is
   */
  async forceFailover(clusterId: string, replicaIndex = 0, options: { promote?: boolean } = {}): Promise<void> {
    this.#require();
    await this.#manager.forceFailover(clusterId, replicaIndex, options);
  }

  /** Counts the rows of a sharded cluster on each shard, and those that belong on another one. */
  async checkShards(clusterId: string): Promise<ShardCheck> {
    this.#require();
    return this.#manager.checkShards(clusterId);
  }

  /** Asks every server for a sign of life. Rejects for no server that is down. */
  async healthCheck(): Promise<Record<string, ClusterHealth>> {
    this.#require();
    return this.#manager.healthCheck();
  }

  /**
   * Applies pending migrations.
   *
   * @throws a {@link MigrationError} with the failures, unless `continueOnError` passes them over.
   */
  async migrate(options?: MigrationExecutionOptions): Promise<MigrationStatus> {
    return this.#requireMigrations().migrate(options);
  }

  /** Takes migrations back: the last at each schema, or all after a version. */
  async rollback(options?: MigrationRollbackOptions): Promise<MigrationStatus> {
    return this.#requireMigrations().rollback(options);
  }

  /** Counts what is applied and pending. */
  async getMigrationStatus(): Promise<MigrationStatus> {
    return this.#requireMigrations().getStatus();
  }

  /** Makes a file for a new migration; gives its path. */
  async createMigration(name: string, options: NewMigration): Promise<string> {
    return this.#requireMigrations().createMigration(name, options);
  }

  /** All migrations in the order of their versions. */
  getMigrations(): Migration[] {
    return this.#requireMigrations().getMigrations();
  }

  /** Adds a migration, in place of one of the same version. */
  addMigration(migration: Migration): void {
    this.#requireMigrations().addMigration(migration);
  }

  /** The manager of migrations, which tells of each of them; `undefined` where they are not enabled. */
  getMigrationManager(): MigrationManager | undefined {
    return this.#migrations;
  }

  /** @internal What migrations run on. */
  [MIGRATION_TARGET](): MigrationTarget {
    this.#require();
    return this.#manager[MIGRATION_TARGET]();
  }

  /** @internal What a dashboard shows of the servers; nothing while they are not connected. */
  [CLUSTER_FIGURES](): readonly ClusterFigures[] {
    return this.#clusters === undefined ? [] : this.#manager[MIGRATION_TARGET]().engine.figures();
  }

  #requireTransactions(): TransactionManager {
    this.#require();
    if (this.#transactions === undefined) throw configError('Transactions not enabled');
    return this.#transactions;
  }

  #requireMigrations(): MigrationManager {
    this.#require();
    if (this.#migrations === undefined) throw configError('Migrations not enabled. Set enableMigrations: true in config.');
    return this.#migrations;
  }

  /** What is wrong with the configuration in force, and what is doubtful. */
  validateConfig(): ValidationResult {
    return checkClusters(this.#require());
  }

  /** Closes all connections; queries on their way fail. Closing again does nothing. */
  async close(): Promise<void> {
    // Whoever initializes hears how that ends.
    await this.#initializing?.catch(() => undefined);
    if (this.#clusters === undefined) return;
    this.#clusters = undefined;
    this.#file?.close();
    this.#file = undefined;
    const [migrations, transactions] = [this.#migrations, this.#transactions];
    this.#migrations = undefined;
    this.#transactions = undefined;
    await transactions?.close();
    await this.#manager.close();
    await migrations?.close();
    this.#tell('closed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #require(): ClustersConfig {
    if (this.#clusters === undefined) throw notInitialized();
    return this.#clusters;
  }

  #tell<E extends keyof MultiClusterEvents>(event: E, ...args: MultiClusterEvents[E]): void {
    tellListeners(this, event, args);
  }
}

function notInitialized(): ReplicaverseError {
  return new ReplicaverseError('MultiClusterPostgres not initialized. Call initialize() first.', { code: 'ERR_NOT_INITIALIZED' });
}

function schemasOf(clusters: ClustersConfig): string[] {
  return [...new Set(Object.values(clusters).flatMap(({ schemas }) => schemas ?? []))];
}
