// MigrationManager: finds migrations, has the core apply them and take them back, and tells what happens.
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { configError, ReplicaverseError } from '../../errors.js';
import { tellListeners } from '../../event-telling.js';
import { consoleLogger } from './console-logger.js';
import { lintMigrations } from './lint/linting.js';
import type { LintOptions, LintReport } from './lint/types.js';
import { ThrownErrors } from './migration-error.js';
import { checkMigration, type FoundMigration } from './migration-file.js';
import { createFile, loadFolder, type NewMigration } from './migration-folder.js';
import { MIGRATION_TARGET, MigrationRun, type MigrationTarget, type NativeEvent } from './migration-runs.js';
import type {
  Migration,
  MigrationConfig,
  MigrationExecutionOptions,
  MigrationLogger,
  MigrationManagerEvents,
  MigrationRollbackOptions,
  MigrationScope,
  MigrationState,
  MigrationStatus,
  MigrationUpkeepOptions,
} from './types.js';

/** A PgMultiverse or a ClusterManager, initialized before migrations run. */
export interface MigrationSource {
  /** @internal */
  [MIGRATION_TARGET](): MigrationTarget;
}

const SETTINGS = [
  'migrationsTable',
  'lockTable',
  'autoCreateMigrationsTable',
  'validateChecksums',
  'allowOutOfOrder',
  'lockTimeout',
  'batchSize',
  'ddlLockTimeout',
  'statementTimeout',
  'lockRetries',
  'createSchemas',
  'lint',
] as const;

const CONFIG = new Set<string>([...SETTINGS, 'migrationsPath', 'logger']);

/** Migrates the schemas of all clusters. */
export class MigrationManager extends EventEmitter<MigrationManagerEvents> {
  readonly #source: MigrationSource;
  readonly #config: MigrationConfig;
  readonly #logger: MigrationLogger;
  readonly #folder: string;
  readonly #migrations = new Map<string, FoundMigration>();
  readonly #thrown = new ThrownErrors();
  #isInitialized = false;
  #last: Promise<unknown> = Promise.resolve();

  /** @throws an error of kind `Config` for an option that does not exist. */
  constructor(source: MigrationSource, config: MigrationConfig = {}) {
    super();
    const unknown = Object.keys(config).find((option) => !CONFIG.has(option));
    if (unknown !== undefined) throw configError(`migrations.${unknown}: there is no such option`);
    this.#source = source;
    this.#config = config;
    this.#logger = config.logger ?? consoleLogger();
    this.#folder = resolve(config.migrationsPath ?? 'migrations');
  }

  /**
   * Loads the files of the migrations.
   *
   * @throws {ReplicaverseError} that names the file and the line where one cannot be loaded.
   */
  async initialize(): Promise<void> {
    if (this.#isInitialized) throw new ReplicaverseError('MigrationManager already initialized', { code: 'ERR_ALREADY_INITIALIZED' });
    try {
      for (const found of await loadFolder(this.#folder, this.#logger)) this.#migrations.set(found.migration.version, found);
      this.#isInitialized = true;
    } catch (error) {
      this.#tellError(error);
      throw error;
    }
  }

  /**
   * Applies pending migrations.
   *
   * @throws {MigrationError} with the failures, unless `continueOnError` passes them over.
   */
  migrate(options: MigrationExecutionOptions = {}): Promise<MigrationStatus> {
    return this.#run('migrate', { ...options, dryRun: dryRunOf(options.dryRun) });
  }

  /**
   * Takes migrations back, last first: the last at each schema, or all after a version.
   *
   * @throws {MigrationError} with the failures.
   */
  rollback(options: MigrationRollbackOptions = {}): Promise<MigrationStatus> {
    return this.#run('rollback', { ...options, dryRun: dryRunOf(options.dryRun) });
  }

  /** Counts what is applied and pending. Changes nothing. */
  getStatus(scope: MigrationScope = {}): Promise<MigrationStatus> {
    return this.#run('status', scope);
  }

  /** Tells of each migration at each place. Changes nothing. */
  async getStates(scope: MigrationScope = {}): Promise<MigrationState[]> {
    const states = await this.#run<(Omit<MigrationState, 'executedAt'> & { executedAt: string | null })[]>('reports', scope);
    return states.map((state) => ({ ...state, executedAt: state.executedAt === null ? null : new Date(state.executedAt) }));
  }

  /** Settles migrations that stopped half-way: what they are, must be said. With `checksums`, recorded ones become those of now. */
  repair(options: MigrationUpkeepOptions & { checksums?: boolean } = {}): Promise<MigrationStatus> {
    return this.#run('repair', options);
  }

  /** Records all migrations up to a version as applied, without running them. */
  baseline(options: MigrationScope & { version: string }): Promise<MigrationStatus> {
    return this.#run('baseline', options);
  }

  /** Records one migration as applied or as pending, without running it. */
  mark(options: MigrationUpkeepOptions & { version: string; as: 'applied' | 'pending' }): Promise<MigrationStatus> {
    return this.#run('mark', options);
  }

  /** Holds all migrations against the rules of lint, without a database. */
  lint(options: LintOptions = {}): Promise<LintReport> {
    return lintMigrations([...this.#migrations.values()], options, this.#config.ddlLockTimeout !== undefined);
  }

  /** Adds a migration, in place of one of the same version. */
  addMigration(migration: Migration): void {
    checkMigration(migration);
    this.#migrations.set(migration.version, { migration });
  }

  /** Removes a migration; whether there was one. */
  removeMigration(version: string): boolean {
    return this.#migrations.delete(version);
  }

  /** All migrations in the order of their versions. */
  getMigrations(): Migration[] {
    const found = [...this.#migrations.values()].map(({ migration }) => migration);
    return found.sort((one, other) => (one.version < other.version ? -1 : 1));
  }

  /** Makes a file for a new migration; gives its path. */
  createMigration(name: string, options: NewMigration): Promise<string> {
    return createFile(this.#folder, name, options);
  }

  /** Forgets all migrations. */
  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    this.#migrations.clear();
    this.#isInitialized = false;
  }

  /** Runs of one manager follow each other. */
  #run<T>(command: string, options: object): Promise<T> {
    const run = this.#last.then(
      () => this.#runNow<T>(command, options),
      () => this.#runNow<T>(command, options),
    );
    this.#last = run;
    return run;
  }

  async #runNow<T>(command: string, options: object): Promise<T> {
    if (!this.#isInitialized) throw new ReplicaverseError('MigrationManager not initialized. Call initialize() first.', { code: 'ERR_NOT_INITIALIZED' });
    try {
      const target = this.#source[MIGRATION_TARGET]();
      const parts = {
        target,
        settings: this.#settings(target),
        found: [...this.#migrations.values()],
        logger: this.#logger,
        thrown: this.#thrown,
        told: (event: NativeEvent) => this.#told(event),
      };
      return await new MigrationRun(parts).run<T>(command, options);
    } catch (error) {
      this.#tellError(error);
      throw error;
    } finally {
      this.#thrown.clear();
    }
  }

  #settings({ clusters }: MigrationTarget): object {
    const given = SETTINGS.filter((setting) => this.#config[setting] !== undefined).map((setting) => [setting, this.#config[setting]]);
    const schemas = Object.entries(clusters).map(([id, cluster]) => ({ id, schemas: cluster.schemas ?? [] }));
    return { ...(Object.fromEntries(given) as object), runner: `process ${process.pid} on ${hostname()}`, clusters: schemas };
  }

  #told(told: NativeEvent): void {
    const { event, direction, version, name, schema, cluster, duration, message, attempt, holder, position } = told;
    const place = { version, name, schema, cluster };
    const prefix = direction === 'down' ? 'rollback' : 'migration';
    if (event === 'started') this.#tell(`${prefix}Started`, place);
    else if (event === 'completed') this.#tell(`${prefix}Completed`, { ...place, duration });
    else if (event === 'failed') this.#tell(`${prefix}Failed`, { ...place, error: this.#errorOf(told), duration });
    else if (event === 'retried') this.#tell('migrationRetried', { version, schema, cluster, attempt, message });
    else if (event === 'waiting') this.#tell('lockWaiting', { cluster, holder });
    else if (event === 'checkpointCreated') this.#tell('checkpointCreated', { cluster, name, position });
    else {
      this.#logger.warn(message);
      this.#tell('warning', message);
    }
  }

  #errorOf({ thrown, message, code }: NativeEvent): Error {
    return this.#thrown.get(thrown) ?? new ReplicaverseError(message, { kind: 'Migration', code });
  }

  #tell<E extends keyof MigrationManagerEvents>(event: E, ...args: MigrationManagerEvents[E]): void {
    tellListeners(this, event, args);
  }

  /** Nobody needs to listen: the call rejects as well. */
  #tellError(error: unknown): void {
    if (this.listenerCount('error') > 0) this.#tell('error', error);
  }
}

function dryRunOf(dryRun: boolean | 'execute' | undefined): string {
  if (dryRun === 'execute') return 'execute';
  // What is meant as a dry run must not become one in earnest.
  if (typeof (dryRun ?? false) !== 'boolean') throw configError("dryRun: expected true, false or 'execute'");
  return dryRun === true ? 'plan' : 'no';
}
