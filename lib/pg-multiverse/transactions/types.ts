// The types of transactions over one and several clusters.
import type { AnyRow, QueryConfig, QueryOptions, QueryResult } from '../types.js';

/** How far a transaction is kept apart from others. PostgreSQL takes the first for the second. */
export type IsolationLevel = 'READ_UNCOMMITTED' | 'READ_COMMITTED' | 'REPEATABLE_READ' | 'SERIALIZABLE';

/** The options of a transaction that is committed by its id. */
export interface TransactionOptions {
  isolationLevel?: IsolationLevel;
  /** Refuses statements that write. */
  readonly?: boolean;
  /** With `SERIALIZABLE` and `readonly`: waits until nothing can make the transaction fail. */
  deferrable?: boolean;
  /** Milliseconds from the beginning on; then the transaction is rolled back. */
  timeout?: number;
  /** Whether the clusters of schemas that were not named join. They are refused by default. */
  extend?: boolean;
}

/** The options of a transaction around a function. */
export interface WithTransactionOptions extends TransactionOptions {
  /** How often the function is run again, in a new transaction, after a deadlock (40P01) or a failure to serialize (40001). */
  retry?: { attempts: number };
}

/** The options of a statement in a transaction. */
export type TransactionQueryOptions = Pick<QueryOptions, 'schema' | 'clusterId' | 'shardKey' | 'timeout' | 'signal'>;

/** A transaction, in the hands of the function that it is around. */
export interface TransactionContext {
  readonly transactionId: string;
  /** Runs a statement on the cluster of its schema; without one, on the only cluster of the transaction. */
  query<T = AnyRow>(sql: string | QueryConfig, params?: readonly unknown[] | null, options?: TransactionQueryOptions | null): Promise<QueryResult<T>>;
  /** Runs a function whose work, on all clusters, is undone when it throws; the transaction goes on. May be nested. */
  savepoint<R>(callback: TransactionCallback<R>): Promise<R>;
  savepoint<R>(name: string, callback: TransactionCallback<R>): Promise<R>;
}

/** What is done in a transaction. */
export type TransactionCallback<R> = (tx: TransactionContext) => R | Promise<R>;

/** Figures of transactions since the instance was initialized. */
export interface TransactionMetrics {
  /** Begun. */
  total: number;
  active: number;
  committed: number;
  aborted: number;
  /** Milliseconds from the beginning to the end. */
  avgDuration: number;
  /** Committed on several clusters by two phases. */
  distributed: number;
}

/** What is told of transactions. Durations are milliseconds from the beginning. */
export interface TransactionEvents {
  transactionStarted: [{ transactionId: string; schemas: string[]; clusters: string[] }];
  transactionCommitted: [{ transactionId: string; duration: number }];
  transactionAborted: [{ transactionId: string; reason: string; duration: number }];
}
