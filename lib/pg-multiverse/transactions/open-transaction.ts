// One transaction: statements go to the connection of their cluster, savepoints to all of them.
import { configError, ReplicaverseError } from '../../errors.js';
import { DatabaseError } from '../failures.js';
import type { SessionInfo } from '../engine-reports.js';
import type { QueryRunner } from '../query-running.js';
import { NOT_JOINED } from '../sharding/sharded-clusters.js';
import type { AnyRow, QueryConfig, QueryResult, RouteOptions } from '../types.js';
import type { Begun, Participant, TransactionCore } from './native-transactions.js';
import { ShardTurns } from './shard-turns.js';
import type { TransactionCallback, TransactionContext, TransactionQueryOptions } from './types.js';

/** Where a transaction stands, as messages say it. */
export type TransactionState = 'active' | 'committing' | 'committed' | 'aborting' | 'aborted' | 'unknown';

/** What a transaction knows of sharded clusters. */
export interface TransactionSharding {
  /** The sharded cluster to which a route leads. */
  readonly shardedOf: (route: RouteOptions) => string | undefined;
  /** The sharded clusters whose schemas were named, with the first of these, in which names are looked up. */
  readonly named: ReadonlyMap<string, string>;
}

/** The code of a commit that was sent and not answered. */
const OUTCOME_UNKNOWN = 'ERR_TRANSACTION_OUTCOME_UNKNOWN';

/** The code of a statement whose connection is gone. */
const CONNECTION_GONE = 'ERR_RELEASED';

/** The shards have carried a statement out whose results cannot be put together. */
const DONE_WITHOUT_RESULT = 'ERR_SHARD_RESULT';

/** A statement on several shards that ended before it was known what all of them have done. */
interface BrokenOff {
  readonly error: unknown;
  /** How many savepoints were open. */
  readonly savepoints: number;
}

/** A transaction that takes statements until it is committed or rolled back. */
export class OpenTransaction implements TransactionContext {
  readonly transactionId: string;
  readonly started = performance.now();
  readonly #core: TransactionCore;
  readonly #runner: QueryRunner;
  readonly #mayExtend: boolean;
  readonly #sharding: TransactionSharding;
  /** The connections by cluster, and by the schemas that are known to be there. */
  readonly #byCluster = new Map<string, SessionInfo>();
  readonly #bySchema = new Map<string, SessionInfo>();
  readonly #joining = new Map<string, Promise<SessionInfo>>();
  /** The names of the savepoints that are open, the innermost last. */
  readonly #savepoints: string[] = [];
  #savepointCount = 0;
  readonly #turns = new ShardTurns();
  #brokenOff: BrokenOff | undefined = undefined;
  #state: TransactionState = 'active';

  constructor(core: TransactionCore, runner: QueryRunner, begun: Begun, mayExtend: boolean, sharding: TransactionSharding) {
    this.#core = core;
    this.#runner = runner;
    this.#mayExtend = mayExtend;
    this.#sharding = sharding;
    this.transactionId = begun.id;
    for (const participant of begun.participants) this.#add(participant);
  }

  get state(): TransactionState {
    return this.#state;
  }

  /** Whether it is active, and would wait for statements before it is committed. */
  get isWaiting(): boolean {
    return this.#state === 'active' && this.#turns.isBusy;
  }

  get clusters(): string[] {
    return [...new Set([...this.#byCluster.keys(), ...this.#sharding.named.keys()])];
  }

  #add({ session, schemas }: Participant): void {
    this.#byCluster.set(session.cluster, session);
    for (const schema of schemas) this.#bySchema.set(schema, session);
  }

  async query<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: TransactionQueryOptions | null): Promise<QueryResult<T>> {
    this.#requireActive();
    const { schema, clusterId, timeout, signal } = options ?? {};
    const sharded = this.#shardedCluster(schema, clusterId);
    if (sharded !== undefined) return this.#turns.take(options ?? {}, (own) => this.#queryShards<T>(sharded, sql, params, own));
    const session = this.#knownSession(schema, clusterId) ?? (await this.#joinAt(schema, clusterId));
    try {
      return await this.#runner.query<T>(sql, params, { schema, timeout, signal }, session.id);
    } catch (error) {
      throw this.#explained(error, session.cluster);
    }
  }

  /** A connection that is gone while the transaction is open was lost, and took the transaction with it; nobody has released it. */
  #explained(error: unknown, cluster?: string): unknown {
    const isOpen = this.#state === 'active' || this.#state === 'committing';
    if (!isOpen || (error as { code?: unknown } | null)?.code !== CONNECTION_GONE) return error;
    const where = cluster === undefined ? '' : ` to cluster ${cluster}`;
    const message = `Transaction ${this.transactionId} was rolled back: its connection${where} was lost`;
    return new ReplicaverseError(message, { kind: 'Connection', code: 'ERR_CONNECTION', retryable: true, cause: error });
  }

  /** The sharded cluster on which a statement runs, if it does on one. */
  #shardedCluster(schema: string | undefined, clusterId: string | undefined): string | undefined {
    const { shardedOf, named } = this.#sharding;
    if (schema !== undefined || clusterId !== undefined) return shardedOf({ schema, clusterId });
    const [only, ...others] = named.keys();
    if (only === undefined) return undefined;
    // Also before a shard has joined it is one of several.
    if (others.length > 0 || ![...this.#byCluster.keys()].every((cluster) => cluster.startsWith(`${only}/`))) throw undetermined();
    return only;
  }

  /** Runs a statement on the shards that it needs; those that have no part in the transaction yet join first. */
  async #queryShards<T>(cluster: string, sql: string | QueryConfig, params: readonly unknown[] | null | undefined, options: TransactionQueryOptions): Promise<QueryResult<T>> {
    if (!this.#mayExtend && !this.#sharding.named.has(cluster)) {
      throw new ReplicaverseError(`No connection available for cluster ${cluster} in transaction ${this.transactionId}`, { code: 'ERR_TRANSACTION_CLUSTER' });
    }
    this.#requireActive();
    const { schema = this.#sharding.named.get(cluster), shardKey, timeout, signal } = options;
    for (;;) {
      const known = [...this.#byCluster].filter(([id]) => id.startsWith(`${cluster}/`));
      const branches = Object.fromEntries(known.map(([id, session]) => [id, session.id]));
      try {
        return await this.#runner.query<T>(sql, params, { schema, clusterId: cluster, shardKey, timeout, signal, branches });
      } catch (error) {
        if ((error as { code?: unknown } | null)?.code !== NOT_JOINED) {
          if (mayBeHalfDone(error)) this.#brokenOff ??= { error, savepoints: this.#savepoints.length };
          throw error;
        }
        this.#requireActive();
        for (const shard of (error as Error).message.split('\n')) await this.#join(schema, shard, true);
      }
    }
  }

  /** Where the statement runs, if that is known without asking. */
  #knownSession(schema: string | undefined, clusterId: string | undefined): SessionInfo | undefined {
    if (clusterId !== undefined) return this.#byCluster.get(clusterId);
    if (schema !== undefined) return this.#bySchema.get(schema);
    const [first, ...others] = this.#byCluster.values();
    if (first === undefined || others.length > 0) throw undetermined();
    return first;
  }

  /** The connection of a cluster that was not named, or of a shard of one that was. */
  #joinAt(schema: string | undefined, clusterId: string | undefined): Promise<SessionInfo> {
    const named = [...this.#sharding.named].find(([cluster]) => clusterId?.startsWith(`${cluster}/`));
    return named === undefined ? this.#join(schema, clusterId) : this.#join(schema ?? named[1], clusterId, true);
  }

  /** The connection of a cluster or schema that has none yet. */
  #join(schema: string | undefined, clusterId: string | undefined, mayJoin = this.#mayExtend): Promise<SessionInfo> {
    const key = JSON.stringify([schema, clusterId]);
    let joining = this.#joining.get(key);
    if (joining === undefined) {
      joining = this.#askToJoin(schema, clusterId, mayJoin).finally(() => this.#joining.delete(key));
      this.#joining.set(key, joining);
    }
    return joining;
  }

  async #askToJoin(schema: string | undefined, clusterId: string | undefined, mayJoin: boolean): Promise<SessionInfo> {
    const { session } = await this.#core.join(this.transactionId, { schema, clusterId }, mayJoin);
    const known = this.#byCluster.get(session.cluster);
    if (known === undefined) {
      this.#byCluster.set(session.cluster, session);
      // What it does from now on belongs to the savepoints that are open elsewhere.
      for (const name of this.#savepoints) await this.#runner.command(`SAVEPOINT ${name}`, session.id);
    }
    if (schema !== undefined && clusterId === undefined) this.#bySchema.set(schema, session);
    this.#requireActive();
    return session;
  }

  async savepoint<R>(...args: [TransactionCallback<R>] | [string, TransactionCallback<R>]): Promise<R> {
    this.#requireActive();
    const [given, callback] = args.length === 1 ? [undefined, args[0]] : args;
    if (typeof callback !== 'function') throw configError('savepoint: expected a function');
    this.#savepointCount += 1;
    const name = quoted(given ?? `savepoint_${this.#savepointCount}`);
    await this.#onAll(`SAVEPOINT ${name}`);
    this.#savepoints.push(name);
    try {
      const result = await callback(this);
      await this.#turns.afterAll();
      this.#requireActive();
      await this.#onAll(`RELEASE SAVEPOINT ${name}`);
      return result;
    } catch (error) {
      // A connection that was lost cannot go back; then the transaction cannot be committed either.
      if (this.#state === 'active') await this.#goBack(name).catch(() => undefined);
      throw error;
    } finally {
      this.#savepoints.splice(this.#savepoints.lastIndexOf(name), 1);
    }
  }

  async #goBack(savepoint: string): Promise<void> {
    await this.#onAll(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`);
    if (this.#brokenOff !== undefined && this.#brokenOff.savepoints > this.#savepoints.lastIndexOf(savepoint)) this.#brokenOff = undefined;
  }

  async #onAll(sql: string): Promise<void> {
    await this.#turns.afterAll();
    const commands = [...this.#byCluster.values()].map(({ id, cluster }) =>
      this.#runner.command(sql, id).catch((error: unknown) => {
        throw this.#explained(error, cluster);
      }),
    );
    const outcomes = await Promise.allSettled(commands);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * Commits, or rolls back and throws why.
   *
   * @param prepareLimit milliseconds for what precedes the decision
   * @returns whether several clusters were written to
   */
  async commit(prepareLimit?: number): Promise<boolean> {
    await this.#turns.afterAll();
    try {
      this.#requireActive();
    } catch (error) {
      if (this.#state === 'active') await this.rollBack();
      throw error;
    }
    this.#state = 'committing';
    try {
      const isDistributed = await this.#core.commit(this.transactionId, prepareLimit);
      this.#state = 'committed';
      return isDistributed;
    } catch (error) {
      const explained = this.#explained(error);
      this.#state = (error as { code?: unknown }).code === OUTCOME_UNKNOWN ? 'unknown' : 'aborted';
      throw explained;
    }
  }

  /** Rolls back; what is still running is cancelled. */
  async rollBack(): Promise<void> {
    this.#requireState();
    this.#state = 'aborting';
    try {
      await this.#core.rollBack(this.transactionId);
    } finally {
      // With its connections it is rolled back in any case.
      this.#state = 'aborted';
    }
  }

  /** As a server does, nothing is taken any more after a statement that was broken off, but to go back to before it. */
  #requireActive(): void {
    this.#requireState();
    if (this.#brokenOff === undefined) return;
    throw new ReplicaverseError(
      `Transaction ${this.transactionId} can only be rolled back, or back to a savepoint: a statement was broken off that some shards may have carried out (${messageOf(this.#brokenOff.error)})`,
      { code: 'ERR_TRANSACTION_STATE' },
    );
  }

  #requireState(): void {
    if (this.#state !== 'active') throw this.stateError();
  }

  /** What is said to whoever asks for something that comes too late. One that is active is about to be ended. */
  stateError(): ReplicaverseError {
    const state = this.#state === 'active' ? 'ending' : this.#state;
    return new ReplicaverseError(`Transaction ${this.transactionId} is in ${state} state, cannot execute operations`, { code: 'ERR_TRANSACTION_STATE' });
  }
}

/**
 * Whether a statement on several shards that failed so may have been carried out by some of them. What is refused before it runs has
 * done nothing, and after an error of its own a server takes no commit.
 */
function mayBeHalfDone(error: unknown): boolean {
  if (error instanceof DatabaseError) return false;
  const code = String((error as { code?: unknown } | null)?.code);
  return code === DONE_WITHOUT_RESULT || !(code.startsWith('ERR_SHARD_') || code === 'ERR_CONFIG');
}

function undetermined(): ReplicaverseError {
  return new ReplicaverseError('Cannot determine target cluster for operation', { code: 'ERR_TRANSACTION_CLUSTER' });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function quoted(name: unknown): string {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) throw configError('savepoint: expected a name');
  return `"${name.replaceAll('"', '""')}"`;
}
