// A query on its way: the results that have arrived so far, and who waits for them.
import type { Question } from './near-hits.js';
import type { PackedRows, RowDecoder } from './row-decoding.js';
import type { Shape } from './shapes.js';
import type { QueryResult, QueryResults } from './types.js';

/** The code of a query that was cancelled. */
const CANCELLED = 'ERR_ABORTED';

/** Takes rows as they arrive. */
export interface RowReceiver {
  /** Rows have arrived; the list is the receiver's from now on. */
  receive(rows: unknown[]): void;
}

/** Somebody who wants to know how a query ends. */
export interface QueryWatch {
  succeeded(clusterId: string, milliseconds: number, lookup: CacheLookup | undefined): void;
  failed(error: unknown): void;
  /** It was cancelled because its reader had enough. */
  left(): void;
}

/** What the cache had for a query. */
export interface CacheLookup {
  readonly isHit: boolean;
  readonly key: string;
}

/** A query that has been submitted. */
export class PendingQuery {
  /** Where it stands among the queries on their way. */
  slot = 0;
  /** Tells it apart from others that use the slot before and after it. */
  epoch = 0;
  /** Told before the promise is settled. */
  watch: QueryWatch | undefined = undefined;
  /** Set when there is a watch, and the query was looked for in the cache. */
  lookup: CacheLookup | undefined = undefined;
  /** Called when the query is no longer on its way. */
  whenEnded: (() => void) | undefined = undefined;
  /** It was answered when it was submitted. */
  isAnswered = false;
  /** Its reader has left; that it is cancelled therefore is no failure. */
  isLeft = false;
  /** What it asks, where that may be asked again soon. */
  question: Question | undefined = undefined;
  /** Called with the result, and its columns, before the promise is settled, if there is one result with columns. */
  whenSucceeded: ((result: QueryResult, shape: Shape) => void) | undefined = undefined;
  readonly #resolve: (result: QueryResult | QueryResults) => void;
  readonly #reject: (error: unknown) => void;
  readonly asLists: boolean;
  readonly #receiver: RowReceiver | undefined;
  #shape: Shape | undefined = undefined;
  #lastShape: Shape | undefined = undefined;
  #decode: RowDecoder | undefined = undefined;
  #rows: unknown[] = [];
  #first: QueryResult | undefined = undefined;
  #all: QueryResult[] | undefined = undefined;
  /** A row could not be made. The query still runs to its end, and then fails with this. */
  #defect: { readonly error: unknown } | undefined = undefined;

  constructor(resolve: (result: QueryResult | QueryResults) => void, reject: (error: unknown) => void, asLists: boolean, receiver?: RowReceiver) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.asLists = asLists;
    this.#receiver = receiver;
  }

  /** A result with columns begins. */
  begin(shape: Shape): void {
    this.#shape = shape;
    this.#decode = shape.decoder(this.asLists);
  }

  /** Rows of the result have arrived. */
  takeRows(packed: PackedRows): void {
    if (this.#decode === undefined || this.#defect !== undefined) return;
    try {
      this.#decode(packed, this.#rows);
    } catch (error) {
      // A parser of the application threw.
      this.#defect = { error };
    }
    if (this.#receiver !== undefined) {
      this.#receiver.receive(this.#rows);
      this.#rows = [];
    }
  }

  /** A row could not be made. */
  spoil(error: unknown): void {
    this.#defect ??= { error };
  }

  /** The result has ended. */
  endResult(command: string | null, oid: number | null, rowCount: number | null): void {
    const fields = this.#shape === undefined ? [] : this.#shape.ownFields();
    const result: QueryResult = { command, rowCount, oid, rows: this.#rows, fields, clusterId: '' };
    this.#lastShape = this.#shape;
    this.#shape = undefined;
    this.#decode = undefined;
    this.#rows = [];
    if (this.#first === undefined) this.#first = result;
    else (this.#all ??= [this.#first]).push(result);
  }

  /** The query is answered with a result that was made for it. */
  answer(result: QueryResult): void {
    this.isAnswered = true;
    this.#resolve(result);
  }

  /** The query has ended well. */
  succeed(clusterId: string, milliseconds: number): void {
    this.whenEnded?.();
    if (this.#defect !== undefined) {
      this.#failWith(this.#defect.error);
      return;
    }
    this.watch?.succeeded(clusterId, milliseconds, this.lookup);
    if (this.#all !== undefined) {
      for (const result of this.#all) result.clusterId = clusterId;
      this.#resolve(Object.assign(this.#all, { clusterId }));
      return;
    }
    if (this.#first === undefined) this.endResult(null, null, null);
    const result = this.#first as unknown as QueryResult;
    result.clusterId = clusterId;
    if (this.#lastShape !== undefined) this.whenSucceeded?.(result, this.#lastShape);
    this.#resolve(result);
  }

  /** The query has failed. */
  fail(error: unknown): void {
    this.whenEnded?.();
    this.#failWith(this.#defect === undefined ? error : this.#defect.error);
  }

  #failWith(error: unknown): void {
    if (this.isLeft && (error as { code?: unknown } | null)?.code === CANCELLED) this.watch?.left();
    else this.watch?.failed(error);
    this.#reject(error);
  }
}
