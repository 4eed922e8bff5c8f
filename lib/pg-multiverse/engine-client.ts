// The way to the native engine: queries by its transport, and everything else that is asked of it or told by it.
import type { NativeMigrator, NativeMultiverse, NativeTransactions } from '../../native.js';
import { closedError } from '../errors.js';
import { native } from '../native.js';
import type { EvictionReason } from './cache/cache-provider.js';
import type {
  CacheFigures,
  ClusterEvent,
  ClusterFigures,
  EvictionWatch,
  LogWatch,
  NativeCriteria,
  RemoteCache,
  RemoteFlight,
  ServerSign,
  SessionInfo,
  SessionNews,
  ShardSurvey,
} from './engine-reports.js';
import { errorOfThrown } from './failures.js';
import type { NewsListener } from './parcel-reading.js';
import type { PendingQuery } from './pending-query.js';
import { QueryTransport } from './query-transport.js';
import type { RequestParts } from './request-writer.js';
import { routeText } from './route-text.js';
import type { ShardBranches } from './sharding/sharded-clusters.js';
import type { CacheQueryOptions, RouteOptions } from './types.js';
import type { ValueParsers } from './value-parsers.js';

/** What a shared cache needs of an engine. */
export type RemoteCacheEngine = Pick<EngineClient, 'useRemoteCache' | 'setRemoteState' | 'answerRemote' | 'invalidateCache'>;

/** A native engine with the queries that are on their way to it and back. */
export class EngineClient implements NewsListener {
  readonly parsers: ValueParsers;
  readonly #engine: NativeMultiverse;
  readonly #transport: QueryTransport;
  #closing: Promise<void> | undefined = undefined;
  #hear: ((event: ClusterEvent) => void) | undefined = undefined;
  #evictionWatch: EvictionWatch | undefined = undefined;
  #remote: RemoteCache | undefined = undefined;
  #logWatch: LogWatch | undefined = undefined;

  /**
   * Starts an engine, which connects by itself.
   *
   * @throws an error of kind `Config` that names the setting.
   */
  constructor(clusters: object, settings: object, parsers: ValueParsers) {
    this.parsers = parsers;
    // An engine that nobody refers to any more can be collected, with its connections.
    const self = new WeakRef(this);
    const wake = () => {
      const client = self.deref();
      if (client !== undefined) client.#transport.drain();
    };
    this.#engine = fromEngine(() => new native.NativeMultiverse(JSON.stringify(clusters), JSON.stringify(settings), wake));
    this.#transport = new QueryTransport(this.#engine, parsers, this);
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Sends a query with all others of this turn of the event loop.
   *
   * @throws if a parameter cannot be written; then nothing is sent.
   */
  submit(query: PendingQuery, text: string, values: readonly unknown[] | undefined, route: RouteOptions & CacheQueryOptions & ShardBranches | undefined, parts: RequestParts): void {
    if (this.#closing !== undefined) throw closedError('the connection pool is closed');
    this.#transport.submit(query, text, values, route, parts);
  }

  /** Cancels a query, also on the server. It still ends. */
  cancel(query: PendingQuery): void {
    this.#transport.cancel(query);
  }

  /** A reader has taken all rows of its query. */
  resume(query: PendingQuery): void {
    this.#transport.resume(query);
  }

  /** A query that was read as a stream has ended. */
  forgetStream(query: PendingQuery): void {
    this.#transport.forgetStream(query);
  }

  /** Sends what was asked: whatever overtook a query would not find it. */
  sendPlanned(): void {
    this.#transport.sendPlanned();
  }

  evicted(key: string, reason: EvictionReason): void {
    this.#evictionWatch?.(key, reason);
  }

  logState(clusterId: string, lost: string | undefined): void {
    this.#logWatch?.(clusterId, lost);
  }

  /** Has somebody told of the logs that the cache follows. */
  watchLogs(watch: LogWatch): void {
    this.#logWatch = watch;
    this.#engine.tellLogs();
  }

  /** Has somebody told of entries that leave the cache, or nobody. */
  watchEvictions(watch: EvictionWatch | undefined): void {
    this.#evictionWatch = watch;
    this.#engine.tellEvictions(watch !== undefined);
  }

  /** Drops cached results; gives their number. Queries asked from now on do not find them. */
  async invalidateCache(criteria: NativeCriteria): Promise<number> {
    this.sendPlanned();
    const text = JSON.stringify(criteria);
    return fromEngine(() => this.#engine.invalidateCacheAtOnce(text)) ?? (await this.#ask(() => this.#engine.invalidateCache(text)));
  }

  /** Has results looked for, and kept, in a cache that other processes share. */
  useRemoteCache(remote: RemoteCache): void {
    this.#remote = remote;
    this.#engine.useRemoteCache();
  }

  /** Whether the shared cache can be asked, and whether results may be kept in this process. */
  setRemoteState(isReady: boolean, mayKeepNear: boolean): void {
    this.#engine.setRemoteState(isReady, mayKeepNear);
  }

  /** What the shared cache has, with the milliseconds for which it is still valid. */
  answerRemote({ low, high }: RemoteFlight, bytes: Uint8Array | null, ttl: number | null): void {
    this.#engine.answerRemote(low, high, bytes, ttl);
  }

  lookedForRemotely(low: number, high: number, question: string): void {
    this.#remote?.look(flightOf(low, high), question);
  }

  fetchedForRemote(low: number, high: number, entry: string | undefined, bytes: Buffer): void {
    this.#remote?.finish(flightOf(low, high), entry, bytes);
  }

  invalidatedForRemote(scopes: readonly string[]): void {
    this.#remote?.drop(scopes);
  }

  /** The keys of all cached results. */
  cacheKeys(): string[] {
    return this.#engine.cacheKeys();
  }

  /** What the cache has done so far; `null` without one. */
  cacheFigures(): CacheFigures | null {
    this.#transport.tellHits();
    return JSON.parse(this.#engine.cacheMetrics()) as CacheFigures | null;
  }

  /** Pins a connection. */
  async openSession(route: RouteOptions): Promise<SessionInfo> {
    return JSON.parse(await this.#ask(() => this.#engine.openSession(routeText(route)))) as SessionInfo;
  }

  /** Has a function told what a pinned connection brings unasked, until it is released or lost. Keeps the process alive. */
  listenInSession(id: number, hear: (news: SessionNews) => void): void {
    this.#engine.listenInSession(id, (text) => hear(JSON.parse(text) as SessionNews));
  }

  /** The shards of a cluster, and the tables that are spread over them. */
  async surveyShards(clusterId: string): Promise<ShardSurvey> {
    return JSON.parse(await this.#ask(() => this.#engine.surveyShards(clusterId))) as ShardSurvey;
  }

  /** Gives a pinned connection back to its pool, or closes it. */
  releaseSession(id: number, close: boolean): void {
    this.sendPlanned();
    this.#engine.releaseSession(id, close);
  }

  /** Goes over to other clusters; servers that stay keep their connections. */
  async reload(clusters: object): Promise<void> {
    await this.#ask(() => this.#engine.reload(JSON.stringify(clusters)));
  }

  /** What has been counted so far. */
  figures(): ClusterFigures[] {
    this.#transport.tellHits();
    return JSON.parse(this.#engine.metrics()) as ClusterFigures[];
  }

  /** Asks every server for a sign of life. */
  async health(): Promise<ServerSign[]> {
    return JSON.parse(await this.#ask(() => this.#engine.health())) as ServerSign[];
  }

  /** Has a function told of what happens to the clusters. */
  listen(hear: (event: ClusterEvent) => void): void {
    this.#hear = hear;
    const self = new WeakRef(this);
    this.#engine.onClusterEvent((text) => {
      const client = self.deref();
      if (client !== undefined) client.#tell(text);
    });
  }

  #tell(text: string): void {
    if (this.#closing === undefined) this.#hear?.(JSON.parse(text) as ClusterEvent);
  }

  /** Has a replica of a cluster take the writes; promoted first, if that is wanted. */
  async failOver(cluster: string, replica: number, promote: boolean): Promise<void> {
    await this.#ask(() => this.#engine.failOver(cluster, replica, promote));
  }

  /** Prepares migrations on this engine's connections. */
  migrator(settings: string, migrations: string, host: (text: string) => Promise<string>): NativeMigrator {
    if (this.#closing !== undefined) throw closedError('the connection pool is closed');
    return new native.NativeMigrator(this.#engine, settings, migrations, host);
  }

  /** Takes up transactions on this engine's connections, and finishing what others have left. */
  transactions(): NativeTransactions {
    if (this.#closing !== undefined) throw closedError('the connection pool is closed');
    return new native.NativeTransactions(this.#engine);
  }

  /** Closes all connections; queries on their way fail. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.sendPlanned();
    await this.#engine.close();
    // What the engine answered at last.
    this.#transport.drain();
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedError('the connection pool is closed');
    try {
      return await question();
    } catch (thrown) {
      throw errorOfThrown(thrown);
    }
  }
}

function flightOf(low: number, high: number): RemoteFlight {
  return { low: low >>> 0, high: high >>> 0, name: `${high >>> 0}:${low >>> 0}` };
}

function fromEngine<T>(start: () => T): T {
  try {
    return start();
  } catch (thrown) {
    throw errorOfThrown(thrown);
  }
}
