// A pinned connection, for transactions and everything else that belongs to one session.
import { EventEmitter } from 'node:events';
import { closedError, ReplicaverseError } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import type { EngineClient } from './engine-client.js';
import type { SessionInfo, SessionNews } from './engine-reports.js';
import type { QueryRunner } from './query-running.js';
import type { QueryStream } from './query-stream.js';
import type { AnyRow, CacheQueryOptions, QueryConfig, QueryOptions, QueryResult, QueryStreamOptions, RouteOptions } from './types.js';

/** The options that say how a query runs, and not where. */
export type ClientQueryOptions = Omit<QueryOptions, keyof RouteOptions | keyof CacheQueryOptions>;

/** A message that a session sent with NOTIFY. */
export interface Notification {
  readonly channel: string;
  /** Empty if there was none. */
  readonly payload: string;
  /** The process id of the session that sent it. */
  readonly processId: number;
}

/** The events of a client, for those who have it do LISTEN. */
export interface PooledClientEvents {
  /** A message on a channel that the client listens to. */
  notification: [message: Notification];
  /** The connection is lost, and with it what it listened to. Or a listener for `notification` threw this. */
  error: [error: Error];
  /** After the connection was lost. */
  end: [];
}

/**
 * A client of the pool. It must be released, or its connection is lost to others.
 *
 * A client that has listeners keeps the process alive until it is released.
 */
export class PooledClient extends EventEmitter<PooledClientEvents> {
  /** The process id of the session on the server. */
  readonly processID: number;
  /** Where the client is connected. */
  readonly _clusterMetadata: { readonly clusterId: string; readonly schema: string | undefined; readonly pool: string };
  readonly #engine: EngineClient;
  readonly #runner: QueryRunner;
  readonly #session: number;
  readonly #whenReleased: () => void;
  #isReleased = false;
  #isHeard = false;

  /** @internal */
  constructor(engine: EngineClient, runner: QueryRunner, session: SessionInfo, schema: string | undefined, whenReleased: () => void = () => undefined) {
    super();
    this.#engine = engine;
    this.#runner = runner;
    this.#session = session.id;
    this.#whenReleased = whenReleased;
    this.processID = session.processId;
    this._clusterMetadata = { clusterId: session.cluster, schema, pool: session.server };
    // Most clients are never listened to, and cost nothing more then.
    this.once('newListener' as never, (() => this.#hear()) as never);
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
    this.removeAllListeners();
    this.#engine.releaseSession(this.#session, destroy !== undefined && destroy !== false);
    this.#whenReleased();
  }

  [Symbol.dispose](): void {
    if (!this.#isReleased) this.release();
  }

  #hear(): void {
    if (this.#isHeard || this.#isReleased) return;
    this.#isHeard = true;
    this.#engine.listenInSession(this.#session, (news) => {
      if (!this.#isReleased) this.#tell(news);
    });
  }

  #tell(news: SessionNews): void {
    if (news.event === 'notification') {
      const { channel, payload, processId } = news;
      return tellListeners(this, 'notification', [{ channel, payload, processId }]);
    }
    const error = new ReplicaverseError(`the connection of this client is lost: ${news.reason}`, { kind: 'Connection', code: 'ERR_CONNECTION', retryable: true });
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else process.emitWarning(error);
    this.emit('end');
  }

  #check(): void {
    if (this.#isReleased) throw closedError('the client was released');
  }

  #onItsSchema<O extends object>(options: O | null | undefined): O & RouteOptions {
    const schema = this._clusterMetadata.schema;
    return { ...(options as O), ...(schema === undefined ? {} : { schema }) };
  }
}
