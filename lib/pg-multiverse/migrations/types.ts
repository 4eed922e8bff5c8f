// The types of migrations, of what may be asked of them, and of what is told of them.
import type { AnyRow, QueryResult } from '../types.js';

/** Where messages go. */
export interface MigrationLogger {
  info(message: string, meta?: unknown): void;
  warn(message: string, meta?: unknown): void;
  error(message: string, meta?: unknown): void;
  debug(message: string, meta?: unknown): void;
}

/** What the functions of a migration work with. */
export interface MigrationContext {
  /**
   * Runs a statement on the connection of the migration, in its transaction. A statement that begins or ends a transaction,
   * or can be part of none, first commits what has run before.
   */
  query<T = AnyRow>(this: void, sql: string, params?: readonly unknown[]): Promise<QueryResult<T>>;
  readonly schema: string;
  readonly cluster: string;
  readonly version: string;
  readonly logger: MigrationLogger;
}

/** A function of a migration. */
export type MigrationFunction = (context: MigrationContext) => Promise<void> | void;

/** A migration. */
export interface Migration {
  /** What tells it apart, and its place in the order, as `20260131120000_add_orders`. */
  version: string;
  name: string;
  description?: string;
  /** The schemas it belongs to. It runs in each, on every cluster that has it. */
  targetSchemas: string[];
  /** The clusters it is kept to. */
  targetClusters?: string[];
  /** The versions that must be applied before it, wherever they belong. */
  dependencies?: string[];
  tags?: string[];
  createdAt: Date;
  /** `false` runs it outside of any transaction, for `CREATE INDEX CONCURRENTLY` and the like. */
  transaction?: boolean;
  /** Applies it to all of its places or to none, by two-phase commit. */
  atomic?: boolean;
  up: MigrationFunction;
  down: MigrationFunction;
}

/** A migration that was applied. */
export interface MigrationRecord {
  version: string;
  name: string;
  schema: string;
  cluster: string;
  executedAt: Date | null;
  /** Milliseconds. */
  executionTime: number | null;
  batch: number | null;
  /** Whether one that runs or stopped half-way is being applied or taken back. */
  direction: 'up' | 'down' | null;
}

/** Where a migration stands at one place; `missing` if it was applied and its file is gone. */
export interface MigrationState extends MigrationRecord {
  /** `missing`: it was applied, and its file is gone; `changed`: the file is not what was applied. */
  state: 'applied' | 'pending' | 'failed' | 'running' | 'broken' | 'missing' | 'changed';
  /** What is known of one that did not end well. */
  message: string | null;
}

/** What holds for all migrations. Times are in milliseconds. */
export interface MigrationConfig {
  /** The folder of the files, `./migrations` by default. */
  migrationsPath?: string;
  /** The table of what was applied, `pg_multiverse_migrations` by default. */
  migrationsTable?: string;
  /** The table in which runners of pg-multiverse leave their locks, `pg_multiverse_migration_locks` by default. */
  lockTable?: string;
  /** Makes these tables where they are missing; it does by default. */
  autoCreateMigrationsTable?: boolean;
  /** Refuses to run when a migration was changed after it was applied; it does by default. */
  validateChecksums?: boolean;
  /** Allows a migration to be applied after later ones. */
  allowOutOfOrder?: boolean;
  /** How long a lock that another runner holds is waited for, 60000 by default. */
  lockTimeout?: number;
  /** How many migrations share one number in the column `batch`, 100 by default. */
  batchSize?: number;
  /** `lock_timeout` of the statements in migrations. */
  ddlLockTimeout?: number;
  /** `statement_timeout` of the statements in migrations. */
  statementTimeout?: number;
  /** How often a migration is tried again whose transaction failed because of a lock; 3 with `ddlLockTimeout`, else 0. */
  lockRetries?: number;
  /** Makes a schema that does not exist before the first migration in it. */
  createSchemas?: boolean;
  /** What lint does before pending migrations run: tells of errors, which is the default, refuses them, or nothing. */
  lint?: 'warn' | 'refuse' | 'off';
  /** Where migrations write their messages, the console by default. */
  logger?: MigrationLogger;
}

/** Which schemas and clusters a call is about; all by default. */
export interface MigrationScope {
  targetSchemas?: string[];
  targetClusters?: string[];
}

/** The options of applying migrations. */
export interface MigrationExecutionOptions extends MigrationScope {
  /** The last version to apply. */
  targetVersion?: string;
  /** Tells the plan only; with `execute`, its SQL is run in transactions that are rolled back. */
  dryRun?: boolean | 'execute';
  /** Applies migrations whose dependencies are not applied. */
  force?: boolean;
  /** Migrates schemas and clusters side by side. */
  parallel?: boolean;
  /** The most migrations that run at one time, 5 by default. */
  maxParallel?: number;
  /** Goes on with others after one has failed. */
  continueOnError?: boolean;
  /** Makes a restore point on each cluster first. */
  createCheckpoint?: boolean;
  /** Continues migrations that stopped half-way outside of a transaction. */
  resume?: boolean;
}

/** The options of taking migrations back. */
export interface MigrationRollbackOptions extends MigrationScope {
  /** Takes all back that is later. */
  targetVersion?: string;
  /** How many are taken back at each place, 1 by default. */
  steps?: number;
  /** Tells the plan only; with `execute`, its SQL is run in transactions that are rolled back. */
  dryRun?: boolean | 'execute';
  /** Leaves out migrations that are not there, and takes back what others need. */
  force?: boolean;
  /** Continues rollbacks that stopped half-way outside of a transaction. */
  resume?: boolean;
}

/** The options of setting records right. */
export interface MigrationUpkeepOptions extends MigrationScope {
  version?: string;
  /** What a migration is recorded as. */
  as?: 'applied' | 'pending';
}

/** The figures of a schema or a cluster. */
export interface MigrationCounts {
  applied: number;
  pending: number;
  failed: number;
  /** The last version that was applied. */
  lastApplied?: string;
}

/** A step of a plan. */
export interface MigrationStep {
  version: string;
  name: string;
  schema: string;
  cluster: string;
  direction: 'up' | 'down';
  transaction: boolean;
  /** Whether a dry run that executes has run it. */
  executed?: boolean;
}

/** What is applied, pending and failed. A migration counts once for each schema of each cluster. */
export interface MigrationStatus {
  totalMigrations: number;
  appliedMigrations: number;
  pendingMigrations: number;
  failedMigrations: number;
  bySchema: Record<string, MigrationCounts>;
  byCluster: Record<string, MigrationCounts>;
  /** What would be done; only of a dry run. */
  plan?: MigrationStep[];
}

/** A migration at a place, as events tell it. */
export interface MigrationPlace {
  version: string;
  name: string;
  schema: string;
  cluster: string;
}

/** The events of a MigrationManager. Durations are in milliseconds. */
export interface MigrationManagerEvents {
  migrationStarted: [MigrationPlace];
  migrationCompleted: [MigrationPlace & { duration: number }];
  migrationFailed: [MigrationPlace & { error: Error; duration: number }];
  rollbackStarted: [MigrationPlace];
  rollbackCompleted: [MigrationPlace & { duration: number }];
  rollbackFailed: [MigrationPlace & { error: Error; duration: number }];
  /** A lock was in the way, and the migration is tried again. */
  migrationRetried: [{ version: string; schema: string; cluster: string; attempt: number; message: string }];
  /** Another runner is waited for. */
  lockWaiting: [{ cluster: string; holder: string }];
  checkpointCreated: [{ cluster: string; name: string; position: string }];
  warning: [message: string];
  error: [error: unknown];
}
