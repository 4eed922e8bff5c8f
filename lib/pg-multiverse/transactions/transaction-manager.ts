// All transactions of an instance: begun and ended by function or by id, timed, counted, told of.
import { setTimeout as delay } from 'node:timers/promises';
import { closedError, configError, ReplicaverseError } from '../../errors.js';
import type { ClustersConfig } from '../config-types.js';
import type { EngineClient } from '../engine-client.js';
import { DatabaseError } from '../failures.js';
import { type QueryRunner, readNumber } from '../query-running.js';
import { shardedClusterOf } from '../sharding/sharded-clusters.js';
import type { AnyRow, QueryConfig, QueryResult, RouteOptions } from '../types.js';
import { TransactionCore } from './native-transactions.js';
import { OpenTransaction } from './open-transaction.js';
import type {
  IsolationLevel,
  TransactionCallback,
  TransactionEvents,
  TransactionMetrics,
  TransactionOptions,
  TransactionQueryOptions,
  WithTransactionOptions,
} from './types.js';

const LEVELS: readonly IsolationLevel[] = ['READ_UNCOMMITTED', 'READ_COMMITTED', 'REPEATABLE_READ', 'SERIALIZABLE'];
/** Failures after which the same transaction may well succeed: of serializing, and by a deadlock. */
const REPEATED = ['40001', '40P01'];
/** Milliseconds before a function is run again, doubled each time. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 1000;
/** The longest delay that timers know. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** Hears what happens to transactions. */
export type TransactionListener = <E extends keyof TransactionEvents>(event: E, ...args: TransactionEvents[E]) => void;

/** A transaction, its timer, and what ends waiting for it when that is over. */
interface Entry {
  readonly transaction: OpenTransaction;
  readonly deadline: number | undefined;
  readonly expired: Promise<never>;
  timer: NodeJS.Timeout | undefined;
  /** Why it was rolled back, if time was over. */
  timeoutError: ReplicaverseError | undefined;
  ending: Promise<unknown> | undefined;
}

/** The transactions of one instance. */
export class TransactionManager {
  readonly #core: TransactionCore;
  readonly #runner: QueryRunner;
  readonly #clusters: () => ClustersConfig;
  readonly #tell: TransactionListener;
  readonly #open = new Map<string, Entry>();
  #isClosing = false;
  readonly #figures = { total: 0, committed: 0, aborted: 0, distributed: 0, duration: 0 };

  /** @param clusters gives the expanded configuration in force */
  constructor(engine: EngineClient, runner: QueryRunner, clusters: () => ClustersConfig, tell: TransactionListener) {
    this.#core = new TransactionCore(engine);
    this.#runner = runner;
    this.#clusters = clusters;
    this.#tell = tell;
  }

  /** Runs a function in a transaction, which is committed when it succeeds and rolled back when it throws. */
  async within<R>(schemas: string | readonly string[], callback: TransactionCallback<R>, given?: WithTransactionOptions | null): Promise<R> {
    if (typeof callback !== 'function') throw configError('withTransaction: expected a function');
    const options = given ?? {};
    const attempts = readAttempts(options.retry);
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#attempt(schemas, callback, options);
      } catch (error) {
        if (attempt >= attempts || !maySucceed(error)) throw error;
        // Those who met each other should not meet again.
        await delay(Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt + 1)));
      }
    }
  }

  async #attempt<R>(schemas: string | readonly string[], callback: TransactionCallback<R>, options: TransactionOptions): Promise<R> {
    const entry = await this.#begin(schemas, options);
    let result: R;
    try {
      result = await Promise.race([Promise.resolve(entry.transaction).then(callback), entry.expired]);
    } catch (error) {
      throw await this.#giveUp(entry, error);
    }
    await this.#commit(entry);
    return result;
  }

  /** Rolls back because of an error; gives the error to throw. */
  async #giveUp(entry: Entry, error: unknown): Promise<unknown> {
    if (entry.ending === undefined) {
      // What matters is why, and without its connections the transaction is rolled back in any case.
      await this.#rollBack(entry, messageOf(error)).catch(() => undefined);
    } else {
      await entry.ending;
    }
    return entry.timeoutError ?? error;
  }

  /** Begins a transaction; gives its id. */
  async begin(schemas: string | readonly string[], options?: TransactionOptions | null): Promise<string> {
    const { transaction } = await this.#begin(schemas, options ?? {});
    return transaction.transactionId;
  }

  async #begin(given: string | readonly string[], options: TransactionOptions): Promise<Entry> {
    this.#requireOpen();
    const schemas = readSchemas(given, options.extend === true);
    const timeout = readNumber('timeout', options.timeout, 1);
    const shardedOf = (route: RouteOptions) => shardedClusterOf(this.#clusters(), route);
    const sharded = new Map<string, string>();
    for (const schema of schemas) {
      const cluster = shardedOf({ schema });
      if (cluster !== undefined && !sharded.has(cluster)) sharded.set(cluster, schema);
    }
    // The shards of a cluster take part once a statement needs them.
    const named = schemas.filter((schema) => shardedOf({ schema }) === undefined);
    const started = performance.now();
    const begun = await this.#core.begin(named, readModes(options), timeout).catch((error: unknown) => {
      if (timeout !== undefined && performance.now() - started >= timeout) throw timeoutError(undefined, timeout);
      throw error;
    });
    if (this.#isClosing) await this.#core.rollBack(begun.id).catch(() => undefined);
    this.#requireOpen();
    const transaction = new OpenTransaction(this.#core, this.#runner, begun, options.extend === true, { shardedOf, named: sharded });
    const entry = this.#enter(transaction, timeout, started);
    this.#figures.total += 1;
    this.#tell('transactionStarted', { transactionId: transaction.transactionId, schemas: [...schemas], clusters: transaction.clusters });
    return entry;
  }

  #requireOpen(): void {
    if (this.#isClosing) throw closedError('the connection pool is closed');
  }

  #enter(transaction: OpenTransaction, timeout: number | undefined, started: number): Entry {
    let expire: (error: unknown) => void = () => undefined;
    const expired = new Promise<never>((_, reject) => {
      expire = reject;
    });
    // Nobody may be waiting.
    expired.catch(() => undefined);
    const deadline = timeout === undefined ? undefined : started + timeout;
    const entry: Entry = { transaction, deadline, expired, timer: undefined, timeoutError: undefined, ending: undefined };
    if (timeout !== undefined && deadline !== undefined) {
      entry.timer = setTimeout(
        () => {
          const error = timeoutError(transaction.transactionId, timeout);
          entry.timeoutError = error;
          this.#rollBack(entry, error.message).then(
            () => expire(error),
            () => expire(error),
          );
        },
        Math.min(Math.max(0, deadline - performance.now()), LONGEST_DELAY),
      );
    }
    this.#open.set(transaction.transactionId, entry);
    return entry;
  }

  /** Runs a statement in a transaction. */
  async execute<T = AnyRow>(id: string, sql: string | QueryConfig, params?: readonly unknown[] | null, options?: TransactionQueryOptions | null): Promise<QueryResult<T>> {
    return this.#find(id).transaction.query<T>(sql, params, options);
  }

  /** Commits a transaction. */
  async commit(id: string): Promise<void> {
    await this.#commit(this.#find(id));
  }

  /** Rolls a transaction back. */
  async rollBack(id: string): Promise<void> {
    await this.#rollBack(this.#find(id), 'Manual rollback');
  }

  #find(id: string): Entry {
    const entry = this.#open.get(id);
    if (entry === undefined) throw new ReplicaverseError(`Transaction ${id} not found`, { code: 'ERR_TRANSACTION_NOT_FOUND' });
    return entry;
  }

  #commit(entry: Entry): Promise<void> {
    const { transaction, deadline } = entry;
    clearTimeout(entry.timer);
    const limit = deadline === undefined ? undefined : Math.max(1, Math.ceil(deadline - performance.now()));
    return this.#end(entry, async () => {
      const isDistributed = await transaction.commit(limit);
      if (isDistributed) this.#figures.distributed += 1;
    });
  }

  #rollBack(entry: Entry, reason: string): Promise<void> {
    clearTimeout(entry.timer);
    // A commit that waits for statements gives way, which may wait for ever: it fails once the transaction is rolled back.
    if (entry.ending !== undefined && entry.transaction.isWaiting) return entry.transaction.rollBack();
    return this.#end(entry, () => entry.transaction.rollBack(), reason);
  }

  /** Ends a transaction that is active, and counts and tells how it ended. */
  #end(entry: Entry, act: () => Promise<void>, reason?: string): Promise<void> {
    const { transaction } = entry;
    // Whoever ends it first decides how it ends, also while statements that were asked for before are still to run.
    if (entry.ending !== undefined) return Promise.reject(transaction.stateError());
    const ending = this.#endAndTell(transaction, act(), reason);
    entry.ending = ending.catch(() => undefined);
    return ending;
  }

  async #endAndTell(transaction: OpenTransaction, ending: Promise<void>, reason?: string): Promise<void> {
    let failure: unknown;
    try {
      await ending;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      const { transactionId } = transaction;
      this.#open.delete(transactionId);
      const duration = performance.now() - transaction.started;
      this.#figures.duration += duration;
      if (transaction.state === 'committed') {
        this.#figures.committed += 1;
        this.#tell('transactionCommitted', { transactionId, duration });
      } else {
        this.#figures.aborted += 1;
        this.#tell('transactionAborted', { transactionId, reason: reason ?? messageOf(failure), duration });
      }
    }
  }

  /** The figures of all transactions. */
  metrics(): TransactionMetrics {
    const { total, committed, aborted, distributed, duration } = this.#figures;
    const ended = committed + aborted;
    return { total, active: this.#open.size, committed, aborted, avgDuration: ended === 0 ? 0 : duration / ended, distributed };
  }

  /**
   * Waits for commits that are under way, and rolls back what is open. What is still beginning is not waited for, as it may wait for
   * a connection that nobody gives back: it is refused once it has begun, and ends with its connections.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    const entries = [...this.#open.values()];
    const endings = entries.map((entry) => entry.ending ?? this.#rollBack(entry, 'closed'));
    await Promise.allSettled(endings);
    await this.#core.close();
  }
}

function readSchemas(given: string | readonly string[], mayBeEmpty: boolean): readonly string[] {
  const schemas: readonly unknown[] = typeof given === 'string' ? [given] : Array.isArray(given) ? (given as unknown[]) : [undefined];
  const names = schemas.filter((schema): schema is string => typeof schema === 'string' && schema !== '');
  if (names.length < schemas.length || (names.length === 0 && !mayBeEmpty)) throw configError('A transaction needs the schemas it is for: a name, or a list of names');
  return [...new Set(names)];
}

/** Whether the same transaction may well succeed after a failure. */
function maySucceed(error: unknown): boolean {
  if (REPEATED.includes(String((error as { code?: unknown } | null)?.code))) return true;
  // A statement was kept from before a change of definitions by another process.
  return error instanceof DatabaseError && error.code === '0A000' && error.retryable;
}

function readAttempts(retry: unknown): number {
  if (retry === undefined || retry === null) return 0;
  if (typeof retry !== 'object') throw configError('retry: expected an object with attempts');
  return readNumber('retry.attempts', (retry as { attempts?: unknown }).attempts, 0) ?? 0;
}

function readModes(options: TransactionOptions): TransactionOptions {
  const { isolationLevel, readonly, deferrable } = options;
  const level = typeof isolationLevel === 'string' ? isolationLevel.toUpperCase().replaceAll(' ', '_') : isolationLevel;
  const found = LEVELS.find((known) => known === level);
  if (level !== undefined && level !== null && found === undefined) throw configError(`isolationLevel: expected ${LEVELS.join(', ')}`);
  for (const [name, value] of Object.entries({ readonly, deferrable })) {
    if (value !== undefined && value !== null && typeof value !== 'boolean') throw configError(`${name}: expected true or false`);
  }
  return { ...(found === undefined ? {} : { isolationLevel: found }), ...(readonly == null ? {} : { readonly }), ...(deferrable == null ? {} : { deferrable }) };
}

function timeoutError(id: string | undefined, timeout: number): ReplicaverseError {
  return new ReplicaverseError(`Transaction${id === undefined ? '' : ` ${id}`} timed out after ${timeout} ms and was rolled back`, {
    kind: 'Timeout',
    code: 'ERR_TRANSACTION_TIMEOUT',
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
