// Rows one by one, fetched no faster than they are read.
import type { EngineClient } from './engine-client.js';
import { PendingQuery } from './pending-query.js';

/** A reader that waits for a row. */
interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The rows of a statement, for `for await`. The statement is sent when the first row is asked for. Leaving the loop early
 * cancels it on the server.
 */
export class QueryStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #engine: EngineClient;
  readonly #send: (query: PendingQuery) => void;
  readonly #fewRows: number;
  readonly #asLists: boolean;
  readonly #signal: AbortSignal | undefined;
  #query: PendingQuery | undefined = undefined;
  /** Rows that wait for their reader, in the lists in which they came. */
  #lists: T[][] = [];
  #nextRow = 0;
  #rowCount = 0;
  readonly #waiters: Waiter<T>[] = [];
  #end: { readonly error?: unknown } | undefined = undefined;

  /**
   * @param send submits the query
   * @param fewRows further rows are fetched when fewer than this wait for their reader
   */
  constructor(engine: EngineClient, send: (query: PendingQuery) => void, fewRows: number, asLists: boolean, signal: AbortSignal | undefined) {
    this.#engine = engine;
    this.#send = send;
    this.#fewRows = fewRows;
    this.#asLists = asLists;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#query === undefined && this.#end === undefined) this.#start();
    const list = this.#lists[0];
    if (list !== undefined) return Promise.resolve({ done: false, value: this.#takeRow(list) });
    if (this.#end !== undefined) return this.#takeEnd();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Ends the stream; what the statement still does is cancelled on the server. */
  async return(): Promise<IteratorResult<T, undefined>> {
    if (this.#query !== undefined && this.#end === undefined) this.#query.isLeft = true;
    this.#stop({});
    this.#lists = [];
    this.#rowCount = 0;
    return END;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** @internal */
  receive(rows: unknown[]): void {
    if (this.#end !== undefined || rows.length === 0) return;
    this.#lists.push(rows as T[]);
    this.#rowCount += rows.length;
    while (this.#waiters.length > 0 && this.#lists[0] !== undefined) {
      this.#waiters.shift()?.resolve({ done: false, value: this.#takeRow(this.#lists[0]) });
    }
    this.#fetchIfFew();
  }

  #takeRow(list: T[]): T {
    const row = list[this.#nextRow] as T;
    this.#nextRow += 1;
    this.#rowCount -= 1;
    if (this.#nextRow === list.length) {
      this.#lists.shift();
      this.#nextRow = 0;
      this.#fetchIfFew();
    }
    return row;
  }

  #fetchIfFew(): void {
    if (this.#rowCount < this.#fewRows && this.#query !== undefined && this.#end === undefined) this.#engine.resume(this.#query);
  }

  #start(): void {
    if (this.#signal?.aborted === true) {
      this.#finish({ error: this.#signal.reason as unknown });
      return;
    }
    const query = new PendingQuery(
      () => this.#finish({}),
      (error) => this.#finish({ error }),
      this.#asLists,
      this,
    );
    try {
      this.#send(query);
    } catch (error) {
      this.#finish({ error });
      return;
    }
    this.#query = query;
    this.#signal?.addEventListener('abort', this.#abort);
  }

  readonly #abort = () => this.#stop({ error: this.#signal?.reason as unknown });

  /** Ends before the statement has. */
  #stop(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    if (this.#query !== undefined) this.#engine.cancel(this.#query);
    this.#finish(end);
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#query !== undefined) this.#engine.forgetStream(this.#query);
    const [first, ...others] = this.#waiters.splice(0);
    if (first !== undefined) this.#takeEnd().then(first.resolve, first.reject);
    for (const waiter of others) waiter.resolve(END);
  }

  /** An error is told once. */
  async #takeEnd(): Promise<IteratorResult<T, undefined>> {
    const end = this.#end;
    this.#end = {};
    if (end !== undefined && 'error' in end) throw end.error;
    return END;
  }
}
