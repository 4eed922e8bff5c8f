// A pinned connection, for transactions and everything else that belongs to one session.
import { closedError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import type { SessionInfo } from './engine-reports.js';
import type { QueryRunner } from './query-running.js';
import type { QueryStream } from './query-stream.js';
import type { AnyRow, CacheQueryOptions, QueryConfig, QueryOptions, QueryResult, QueryStreamOptions, RouteOptions } from './types.js';

/** The options that say how a query runs, and not where. */
export type ClientQueryOptions = Omit<QueryOptions, keyof RouteOptions | keyof CacheQueryOptions>;

/** A client of the pool. It must be released, or its connection is lost to others. */
export class PooledClient {
  /** The process id of the session on the server. */
  readonly processID: number;
  /** Where the client is connected. */
  readonly _clusterMetadata: { readonly clusterId: string; readonly schema: string | undefined; readonly pool: string };
  readonly #engine: EngineClient;
  readonly #runner: QueryRunner;
  readonly #session: number;
  readonly #whenReleased: () => void;
  #isReleased = false;

  /** @internal */
  constructor(engine: EngineClient, runner: QueryRunner, session: SessionInfo, schema: string | undefined, whenReleased: () => void = () => undefined) {
    this.#engine = engine;
    this.#runner = runner;
    this.#session = session.id;
    this.#whenReleased = whenReleased;
    this.processID = session.processId;
    this._clusterMetadata = { clusterId: session.cluster, schema, pool: session.server };
  }

  /** Runs a statement on this connection, after those that it was given before. */
  async query<T = AnyRow>(query: string | QueryConfig, values?: readonly unknown[] | null, options?: ClientQueryOptions | null): Promise<QueryResult<T>> {
    this.#check();
    return this.#runner.query<T>(query, values, this.#onItsSchema(options), this.#session);
  }

  /** The rows of a statement, one by one. */
  queryStream<T = AnyRow>(query: string | QueryConfig, values?: readonly unknown[] | null, options?: Omit<QueryStreamOptions, keyof RouteOptions> | null): QueryStream<T> {
    this.#check();
    return this.#runner.stream<T>(query, values, this.#onItsSchema(options), this.#session);
  }

  /**
   * Gives the connection back. What it was changed by SET, LISTEN, temporary tables or an open transaction is undone first.
   *
   * @param destroy closes the connection; an error does so as well, as with node-postgres
   */
  release(destroy?: Error | boolean): void {
    if (this.#isReleased) {
      throw closedError('Release called on client which has already been released to the pool.');
    }
    this.#isReleased = true;
    this.#engine.releaseSession(this.#session, destroy !== undefined && destroy !== false);
    this.#whenReleased();
  }

  [Symbol.dispose](): void {
    if (!this.#isReleased) this.release();
  }

  #check(): void {
    if (this.#isReleased) throw closedError('the client was released');
  }

  #onItsSchema<O extends object>(options: O | null | undefined): O & RouteOptions {
    const schema = this._clusterMetadata.schema;
    return { ...(options as O), ...(schema === undefined ? {} : { schema }) };
  }
}
