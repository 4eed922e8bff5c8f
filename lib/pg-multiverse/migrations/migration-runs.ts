// Commands of the native migrator, which calls back to run functions of migrations and to tell what happens.
import type { NativeMigrator } from '../../../native.js';
import { closedError } from '../../errors.js';
import { native } from '../../native.js';
import type { ClustersConfig } from '../config-types.js';
import type { EngineClient } from '../engine-client.js';
import { holdProcess, letProcessGo } from '../process-holding.js';
import type { QueryRunner } from '../query-running.js';
import type { QueryResult } from '../types.js';
import { targetOf } from './lint/linting.js';
import type { ThrownErrors } from './migration-error.js';
import { migrationErrorOf } from './migration-error.js';
import type { FoundMigration } from './migration-file.js';
import type { Migration, MigrationContext, MigrationLogger } from './types.js';

/** Gives what migrations run on; only classes of this package have a method of this name. */
export const MIGRATION_TARGET: unique symbol = Symbol('replicaverse.migrationTarget');

/** What migrations run on. */
export interface MigrationTarget {
  readonly engine: EngineClient;
  readonly runner: QueryRunner;
  readonly clusters: ClustersConfig;
}

/** What happens, as the core tells it. */
export interface NativeEvent {
  event: 'started' | 'completed' | 'failed' | 'retried' | 'waiting' | 'checkpointCreated' | 'warning';
  direction: 'up' | 'down';
  version: string;
  name: string;
  schema: string;
  cluster: string;
  duration: number;
  message: string;
  code: string;
  thrown: number | null;
  attempt: number;
  holder: string;
  position: string;
}

/** A function of a migration that is to be run, as the core tells it. */
interface ScriptCall {
  call: number;
  version: string;
  direction: 'up' | 'down';
  schema: string;
  cluster: string;
  session: number;
}

/** The versions of functions of which the core wants to know what they would run. */
interface LintCall {
  lint: string[];
}

/** What the runs of one manager share. */
export interface RunParts {
  readonly target: MigrationTarget;
  readonly settings: object;
  readonly found: readonly FoundMigration[];
  readonly logger: MigrationLogger;
  readonly thrown: ThrownErrors;
  told(event: NativeEvent): void;
}

/** Most statements do not even hold one of these words, so that nobody needs to parse them. */
const MAY_LEAVE = /\b(begin|start|commit|end|rollback|abort|prepare|concurrently|vacuum|system|database|tablespace|subscription|cluster|reindex)\b/i;

/** Carries out one command at a time. */
export class MigrationRun {
  readonly #parts: RunParts;
  readonly #migrator: NativeMigrator;
  readonly #byVersion: Map<string, Migration>;

  /** @throws {MigrationError} for migrations that are not complete, there twice, or depend on each other in a circle. */
  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#byVersion = new Map(parts.found.map(({ migration }) => [migration.version, migration]));
    const { target, settings, found } = parts;
    const migrations = JSON.stringify(found.map(told));
    this.#migrator = this.#native(() => target.engine.migrator(JSON.stringify(settings), migrations, (text) => this.#called(text)));
  }

  /** The versions in the order in which they are applied. */
  versions(): string[] {
    return this.#migrator.versions();
  }

  /** Carries out a command of the core. */
  async run<T>(command: string, options: object): Promise<T> {
    // The core keeps no process alive by itself.
    holdProcess(this);
    try {
      return JSON.parse(await this.#migrator.run(command, JSON.stringify(options))) as T;
    } catch (thrown) {
      throw migrationErrorOf(thrown, this.#parts.thrown);
    } finally {
      letProcessGo(this);
    }
  }

  #native<T>(make: () => T): T {
    try {
      return make();
    } catch (thrown) {
      throw migrationErrorOf(thrown, this.#parts.thrown);
    }
  }

  async #called(text: string): Promise<string> {
    const told = JSON.parse(text) as NativeEvent | ScriptCall | LintCall;
    if ('call' in told) return this.#runScript(told);
    if ('lint' in told) return this.#lintTargets(new Set(told.lint));
    this.#parts.told(told);
    return 'null';
  }

  async #runScript(call: ScriptCall): Promise<string> {
    const context = new ScriptContext(call, this.#parts, () => this.#leaveTransaction(call.call));
    try {
      const migration = this.#byVersion.get(call.version);
      await migration?.[call.direction](context.asGiven());
      return 'null';
    } catch (thrown) {
      return this.#parts.thrown.keep(thrown);
    } finally {
      context.end();
    }
  }

  /** What functions would run, as far as it stands in their sources. */
  #lintTargets(versions: ReadonlySet<string>): string {
    return JSON.stringify(this.#parts.found.filter(({ migration }) => versions.has(migration.version)).map(targetOf));
  }

  async #leaveTransaction(call: number): Promise<void> {
    try {
      await this.#migrator.leaveTransaction(call);
    } catch (thrown) {
      throw migrationErrorOf(thrown, this.#parts.thrown);
    }
  }
}

/** What a function works with, as long as it runs. */
class ScriptContext {
  readonly #call: ScriptCall;
  readonly #parts: RunParts;
  readonly #leaveTransaction: () => Promise<void>;
  #hasEnded = false;

  constructor(call: ScriptCall, parts: RunParts, leaveTransaction: () => Promise<void>) {
    this.#call = call;
    this.#parts = parts;
    this.#leaveTransaction = leaveTransaction;
  }

  asGiven(): MigrationContext {
    const { schema, cluster, version } = this.#call;
    const query = <T>(sql: string, params?: readonly unknown[]): Promise<QueryResult<T>> => this.#query<T>(sql, params);
    return { query, schema, cluster, version, logger: this.#parts.logger };
  }

  end(): void {
    this.#hasEnded = true;
  }

  async #query<T>(sql: string, params?: readonly unknown[]): Promise<QueryResult<T>> {
    if (this.#hasEnded) throw closedError(`Migration ${this.#call.version} has ended: await every query in its functions`);
    const text = typeof sql === 'string' ? sql : String((sql as { text?: unknown } | undefined)?.text);
    if (MAY_LEAVE.test(text) && native.leavesTransaction(text)) await this.#leaveTransaction();
    return this.#parts.target.runner.query<T>(sql, params, undefined, this.#call.session);
  }
}

/** A migration as the core takes it. */
function told({ migration, file, text, sql }: FoundMigration): object {
  const { version, name, targetSchemas, targetClusters, dependencies = [], transaction = true, atomic = false } = migration;
  return {
    version,
    name,
    targetSchemas,
    ...(targetClusters === undefined ? {} : { targetClusters }),
    dependencies,
    transaction,
    atomic,
    source: sql === undefined ? 'script' : { sql },
    ...(sql === undefined ? { functionText: `${migration.up.toString()}${migration.down.toString()}` } : {}),
    ...(file === undefined ? {} : { file }),
    ...(text === undefined ? {} : { fileText: text }),
  };
}
