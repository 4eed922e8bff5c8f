// Queries as applications ask them: texts or objects, with values and options, on any connection or a pinned one.
import { configError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import { PendingQuery, type QueryWatch } from './pending-query.js';
import { QueryStream } from './query-stream.js';
import type { RequestParts } from './request-writer.js';
import type { ShardBranches } from './sharding/sharded-clusters.js';
import type { QueryConfig, QueryOptions, QueryResult, QueryResults, QueryStreamOptions } from './types.js';

/** What is done again by itself, and how often. */
export interface RetryDefaults {
  readonly retryAttempts: number;
  /** Milliseconds. */
  readonly retryDelay: number;
}

/** Makes a watch for a statement, if anybody listens. */
export type WatchMaker = (text: string, values: readonly unknown[], schema: string | undefined) => QueryWatch | undefined;

/** How many rows of a stream may wait for their reader, when nobody says so. */
const FEW_ROWS = 1000;
const LONGEST = 0xffff_ffff;
const NO_VALUES: readonly unknown[] = [];

/** A statement with its values. */
interface Statement {
  readonly text: string;
  readonly values: readonly unknown[] | undefined;
  readonly asLists: boolean;
}

/** Runs queries on an engine. */
export class QueryRunner {
  readonly #engine: EngineClient;
  readonly #watchOf: WatchMaker;
  readonly #usualParts: RequestParts;

  constructor(engine: EngineClient, defaults: RetryDefaults, watchOf: WatchMaker) {
    this.#engine = engine;
    this.#watchOf = watchOf;
    this.#usualParts = { session: 0, timeout: 0, isStream: false, ...defaults };
  }

  /** Runs a query on any connection, or on a pinned one. */
  query<T>(query: string | QueryConfig, values?: readonly unknown[] | null, options?: (QueryOptions & ShardBranches) | null, session = 0): Promise<QueryResult<T>> {
    return new Promise((resolve, reject) => {
      const statement = readStatement(query, values);
      const settle = resolve as (result: QueryResult | QueryResults) => void;
      const pending = new PendingQuery(settle, reject, statement.asLists);
      const signal = options?.signal;
      if (signal === undefined || signal === null) this.#submit(pending, statement, options, session, false);
      else this.#submitAbortable(pending, statement, options as QueryOptions, session, signal, reject);
    });
  }

  /** Runs what this package asks by itself on a pinned connection; nobody is told of it. */
  command(text: string, session: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending = new PendingQuery(() => resolve(), reject, false);
      this.#engine.submit(pending, text, undefined, undefined, this.#parts({}, session, false));
    });
  }

  /** The rows of a query, one by one. */
  stream<T>(query: string | QueryConfig, values?: readonly unknown[] | null, options?: QueryStreamOptions | null, session = 0): QueryStream<T> {
    const statement = readStatement(query, values);
    const asLists = statement.asLists || readRowMode(options?.rowMode);
    const fewRows = readNumber('batchSize', options?.batchSize, 1) ?? FEW_ROWS;
    const send = (pending: PendingQuery) => this.#submit(pending, statement, options, session, true);
    return new QueryStream<T>(this.#engine, send, fewRows, asLists, options?.signal);
  }

  #submitAbortable(pending: PendingQuery, statement: Statement, options: QueryOptions, session: number, signal: AbortSignal, reject: (reason: unknown) => void): void {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    this.#submit(pending, statement, options, session, false);
    if (pending.isAnswered) return;
    const abort = () => {
      this.#engine.cancel(pending);
      // The promise keeps this reason; that the query ends as cancelled comes later.
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    pending.whenEnded = () => signal.removeEventListener('abort', abort);
  }

  #submit(pending: PendingQuery, { text, values }: Statement, options: (QueryOptions & ShardBranches) | null | undefined, session: number, isStream: boolean): void {
    const watch = this.#watchOf(text, values ?? NO_VALUES, options?.schema);
    pending.watch = watch;
    try {
      const isUsual = session === 0 && !isStream && (options === undefined || options === null);
      const parts = isUsual ? this.#usualParts : this.#parts(options ?? {}, session, isStream);
      this.#engine.submit(pending, text, values, options ?? undefined, parts);
    } catch (error) {
      watch?.failed(error);
      throw error;
    }
  }

  #parts(options: QueryOptions, session: number, isStream: boolean): RequestParts {
    if (typeof options !== 'object') throw configError('options: expected an object; the result comes by the promise, and not by a callback');
    return {
      session,
      isStream,
      timeout: readNumber('timeout', options.timeout, 0) ?? 0,
      retryAttempts: readNumber('retryAttempts', options.retryAttempts, 0) ?? this.#usualParts.retryAttempts,
      retryDelay: readNumber('retryDelay', options.retryDelay, 0) ?? this.#usualParts.retryDelay,
    };
  }
}

function readStatement(query: string | QueryConfig, values: readonly unknown[] | null | undefined): Statement {
  if (typeof query === 'string') return { text: query, values: readValues(values), asLists: false };
  const { text, values: own, rowMode } = (query ?? {}) as Partial<QueryConfig>;
  if (typeof text !== 'string') throw configError('A query must have a text');
  if ((query as { types?: unknown }).types != null) throw configError('types: parsers are set by setTypeParser, and not for one query');
  return { text, values: readValues(values ?? own), asLists: readRowMode(rowMode) };
}

function readValues(values: readonly unknown[] | null | undefined): readonly unknown[] | undefined {
  if (values === undefined || values === null) return undefined;
  if (!Array.isArray(values)) throw configError('Query values must be an array');
  return values as readonly unknown[];
}

function readRowMode(rowMode: unknown): boolean {
  if (rowMode === undefined || rowMode === null) return false;
  if (rowMode !== 'array') throw configError("rowMode: expected 'array'");
  return true;
}

/** A number of milliseconds or times. */
export function readNumber(name: string, value: unknown, least: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= least)) throw configError(`${name}: expected a number from ${least}`);
  return Math.min(Math.ceil(value), LONGEST);
}
