// The way to the native engine: requests are gathered and sent together, outcomes are settled a few milliseconds at a time.
import type { NativeMigrator, NativeMultiverse, NativeTransactions } from '../../native.js';
import { closedError, configError } from '../errors.js';
import { native } from '../native.js';
import type { EvictionReason } from './cache/cache-provider.js';
import { cachePart } from './cache/query-options.js';
import { errorOfThrown } from './failures.js';
import { holdProcess, letProcessGo } from './process-holding.js';
import { type EndListener, ParcelReader } from './parcel-reading.js';
import type { PendingQuery } from './pending-query.js';
import { parameterContent } from './parameter-text.js';
import { type RequestParts, RequestWriter } from './request-writer.js';
import type { ShardBranches } from './sharding/sharded-clusters.js';
import { SlotTable } from './slot-table.js';
import type { CacheQueryOptions, RouteOptions } from './types.js';
import type { ValueParsers } from './value-parsers.js';

/** Milliseconds after which the event loop gets its turn, before more queries are settled; V8 collects garbage meanwhile. */
const TURN = 3;
/** Statements that both sides know by number; the texts of longer ones are sent each time. */
const MOST_STATEMENTS = 4_000;
const LONGEST_STATEMENT = 16_384;
const MOST_ROUTES = 1_000;

/** A pinned connection. */
export interface SessionInfo {
  readonly id: number;
  readonly cluster: string;
  /** The pool's id. */
  readonly server: string;
  readonly processId: number;
}

/** What the engine tells of one server. */
export interface ServerFigures {
  readonly id: string;
  /** Whether it takes the cluster's writes. */
  readonly isPrimary: boolean;
  readonly isUp: boolean;
  readonly active: number;
  readonly idle: number;
  readonly connecting: number;
  readonly max: number;
  readonly created: number;
  readonly destroyed: number;
  readonly waiting: number;
  readonly running: number;
  readonly responseTime: number | null;
  readonly errorRate: number;
  readonly lastError: string | null;
}

/** How long the queries took that succeeded, in milliseconds. */
export interface LatencyFigures {
  /** The upper bounds of the buckets. */
  readonly bounds: readonly number[];
  /** How many took at most so long and longer than the bound before; those over all bounds at last. */
  readonly counts: readonly number[];
  /** All of them together. */
  readonly total: number;
}

/** What the engine has counted for one cluster. */
export interface ClusterFigures {
  readonly id: string;
  readonly reads: number;
  readonly writes: number;
  readonly errors: number;
  /** Queries answered from the cache. */
  readonly cacheHits: number;
  /** Queries that might have been, and ran. */
  readonly cacheMisses: number;
  /** Whether the cache follows the log of the primary at this moment. */
  readonly followsLog: boolean;
  /** Milliseconds that all queries took together. */
  readonly totalDuration: number;
  readonly readLatency: LatencyFigures;
  readonly writeLatency: LatencyFigures;
  /** Checks in a row that found no server that takes writes. */
  readonly failures: number;
  readonly isDown: boolean;
  /** The configured primary, then the replicas. */
  readonly servers: readonly ServerFigures[];
}

/** What the engine tells of its cache. */
export interface CacheFigures {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly itemCount: number;
  /** Bytes. */
  readonly totalSize: number;
  /** Bytes of all rows without compression. */
  readonly rawBytes: number;
  /** Bytes of all rows as they are kept. */
  readonly storedBytes: number;
}

/** Is told of an entry that has left the cache. */
export type EvictionWatch = (key: string, reason: EvictionReason) => void;

/** Is told of a cluster whose log the cache follows, or why it does not. */
export type LogWatch = (clusterId: string, lost: string | undefined) => void;

/** What is spread over the shards of a cluster. */
export interface ShardSurvey {
  /** The clusters that are its shards, by their numbers. */
  readonly shards: readonly string[];
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    /** The column that is the shard key. */
    readonly key: string;
    /** An expression of SQL for the number of the shard on which a row belongs. */
    readonly shardSql: string;
  }[];
}

/** What a health check found about one server. */
export interface ServerSign {
  readonly cluster: string;
  readonly server: string;
  readonly isPrimary: boolean;
  /** Milliseconds. */
  readonly responseTime: number;
  /** A failure as JSON; `null` if the server answers. */
  readonly error: string | null;
}

/** What the engine tells of its clusters by itself. */
export type ClusterEvent =
  | { readonly event: 'checked'; readonly health: readonly ServerSign[] }
  | { readonly event: 'down'; readonly cluster: string; readonly reason: string; readonly health: readonly ServerSign[] }
  /** Milliseconds that the cluster was down. */
  | { readonly event: 'recovered'; readonly cluster: string; readonly downtime: number; readonly health: readonly ServerSign[] }
  | { readonly event: 'failover'; readonly cluster: string; readonly newPrimary: string; readonly oldPrimary: string };
/** What is dropped from the cache. */
export interface NativeCriteria {
  readonly schema?: string;
  readonly tags?: readonly string[];
  readonly cluster?: string;
  readonly keys?: readonly string[];
  readonly digests?: readonly string[];
}

/** A result that is on its way, as the native core numbers it. */
export interface RemoteFlight {
  readonly low: number;
  readonly high: number;
  readonly name: string;
}

/** A cache that other processes share. */
export interface RemoteCache {
  /** A result is looked for; what is it is told as JSON. Must be answered by `answerRemote`. */
  look(flight: RemoteFlight, question: string): void;
  /** The result was fetched meanwhile; or there is none to be kept. The bytes are the cache's own. */
  finish(flight: RemoteFlight, entry: string | undefined, bytes: Buffer): void;
  /** Everything of these scopes is to be dropped, for all processes. */
  drop(scopes: readonly string[]): void;
}

/** What a shared cache needs of an engine. */
export type RemoteCacheEngine = Pick<EngineClient, 'useRemoteCache' | 'setRemoteState' | 'answerRemote' | 'invalidateCache'>;

/** A native engine with the queries that are on their way to it and back. */
export class EngineClient implements EndListener {
  readonly parsers: ValueParsers;
  readonly #engine: NativeMultiverse;
  readonly #reader: ParcelReader;
  readonly #writer = new RequestWriter();
  readonly #statements = new SlotTable(MOST_STATEMENTS, LONGEST_STATEMENT, (slot, text) => this.#writer.writeStatement(slot, text));
  readonly #routes = new SlotTable(MOST_ROUTES, LONGEST_STATEMENT, (slot, text) => this.#writer.writeRoute(slot, text));
  readonly #queries: (PendingQuery | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #flushLater = () => this.#flush();
  readonly #drainLater = () => this.#drain();
  #waiting = 0;
  #epoch = 0;
  /** The first query that is written and not sent. */
  #firstUnsent = 0;
  #isFlushPlanned = false;
  #ownParserBits = 0;
  #closing: Promise<void> | undefined = undefined;
  #hear: ((event: ClusterEvent) => void) | undefined = undefined;
  /** When the first result of this turn of the event loop was taken at once. */
  #turnStart: number | undefined = undefined;
  readonly #endTurn = () => {
    this.#turnStart = undefined;
  };
  #isDraining = false;
  /** Results came while others were being settled. */
  #mustDrainAgain = false;
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
    this.#reader = new ParcelReader(parsers, this);
    // An engine that nobody refers to any more can be collected, with its connections.
    const self = new WeakRef(this);
    const wake = () => {
      const client = self.deref();
      if (client !== undefined) client.#drain();
    };
    this.#engine = fromEngine(() => new native.NativeMultiverse(JSON.stringify(clusters), JSON.stringify(settings), wake));
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
    const statement = this.#statements.slotOf(text);
    const routeSlot = route === undefined ? 0 : this.routeSlot(route, query.watch !== undefined);
    const epoch = (this.#epoch + 1) >>> 0;
    const slot = this.#freeSlots.pop() ?? this.#queries.length;
    try {
      this.#writer.writeRequest(slot, epoch, statement, routeSlot, values, parts);
    } catch (error) {
      if (slot < this.#queries.length) this.#freeSlots.push(slot);
      // What numbers stand for was written, and goes along.
      this.#planFlush(epoch);
      throw error;
    }
    this.#epoch = epoch;
    query.slot = slot;
    query.epoch = epoch;
    this.#queries[slot] = query;
    if (this.#waiting === 0) holdProcess(this);
    this.#waiting += 1;
    this.#planFlush(epoch);
  }

  /** The number that stands for a route; 0 for the one that says nothing. */
  routeSlot(route: RouteOptions & CacheQueryOptions & ShardBranches, isTold = false): number {
    const text = routeText(route, isTold);
    return text === '{}' ? 0 : this.#routes.slotOf(text);
  }

  #planFlush(epoch: number): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    this.#firstUnsent = epoch;
    // After all promises that are settled now, so that what their awaiters ask next goes along.
    process.nextTick(this.#flushLater);
  }

  #flush(): void {
    this.#isFlushPlanned = false;
    this.#tellParsers();
    let hasResults = false;
    try {
      hasResults = this.#engine.submit(this.#writer.buffer, this.#writer.length);
    } catch (error) {
      this.#failUnsent(errorOfThrown(error));
    } finally {
      this.#writer.clear();
    }
    if (hasResults) this.#takeAtOnce();
  }

  /**
   * Takes what came from the cache without a turn of the event loop. Whoever asks again and again would never let the loop
   * go on, so that after a while it gets its turn.
   */
  #takeAtOnce(): void {
    if (this.#isDraining) {
      // A listener asked while it was told of a query.
      this.#mustDrainAgain = true;
      return;
    }
    const now = performance.now();
    if (this.#turnStart === undefined) {
      this.#turnStart = now;
      setImmediate(this.#endTurn);
    }
    if (now - this.#turnStart < TURN) this.#drain();
    else setImmediate(this.#drainLater);
  }

  /** The types that the application parses must come as text from now on. */
  #tellParsers(): void {
    const bits = this.parsers.ownParserBits();
    if (bits === this.#ownParserBits) return;
    this.#ownParserBits = bits;
    this.#engine.setTextTypes(this.parsers.typesWithOwnParser());
  }

  #failUnsent(error: unknown): void {
    for (const query of [...this.#queries]) {
      if (query !== undefined && query.epoch - this.#firstUnsent >= 0) this.finish(query.slot)?.fail(error);
    }
  }

  at(slot: number): PendingQuery | undefined {
    return this.#queries[slot];
  }

  finish(slot: number): PendingQuery | undefined {
    const query = this.#queries[slot];
    if (query === undefined) return undefined;
    this.#queries[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#waiting -= 1;
    if (this.#waiting === 0) letProcessGo(this);
    return query;
  }

  /** Settles queries for as long as a turn may take. */
  #drain(): void {
    this.#isDraining = true;
    this.#mustDrainAgain = false;
    try {
      if (this.#settle() || this.#mustDrainAgain) setImmediate(this.#drainLater);
    } finally {
      this.#isDraining = false;
    }
  }

  /** Gives whether there is more to be settled. */
  #settle(): boolean {
    const start = performance.now();
    do {
      const texts = this.#engine.take(this.#reader.arena);
      if (texts === null) return false;
      if (typeof texts === 'number') this.#reader.grow(texts);
      else if (!this.#reader.read(texts)) {
        this.#reader.shrink();
        return false;
      }
    } while (performance.now() - start < TURN);
    return true;
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
    return this.#ask(() => this.#engine.invalidateCache(JSON.stringify(criteria)));
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
    return JSON.parse(this.#engine.cacheMetrics()) as CacheFigures | null;
  }

  /** Cancels a query, also on the server. It still ends. */
  cancel(query: PendingQuery): void {
    this.sendPlanned();
    this.#engine.cancel(query.slot, query.epoch);
  }

  /** A reader has taken all rows of its query. */
  resume(query: PendingQuery): void {
    this.#engine.resume(query.slot, query.epoch);
  }

  /** A query that was read as a stream has ended. */
  forgetStream(query: PendingQuery): void {
    this.#engine.forgetStream(query.slot, query.epoch);
  }

  /** Sends what was asked: whatever overtook a query would not find it. */
  sendPlanned(): void {
    if (!this.#writer.isEmpty) this.#flush();
  }

  /** Pins a connection. */
  async openSession(route: RouteOptions): Promise<SessionInfo> {
    return JSON.parse(await this.#ask(() => this.#engine.openSession(routeText(route)))) as SessionInfo;
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
    this.#drain();
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

const ROUTE_VALUES: { readonly [option in (typeof ROUTE_OPTIONS)[number]]?: readonly string[] } = {
  operation: ['read', 'write'],
  readPreference: ['replica', 'primary', 'any'],
  consistencyLevel: ['eventual', 'session', 'strong'],
};

const ROUTE_OPTIONS = ['clusterId', 'schema', 'operation', 'readPreference', 'consistencyLevel'] as const;

/** A route, and what is said about caching, as the native core reads it. */
function routeText(options: RouteOptions & CacheQueryOptions & ShardBranches, isTold = false): string {
  const route: Record<string, unknown> = {};
  for (const option of ROUTE_OPTIONS) {
    const value: unknown = options[option];
    if (value === undefined || value === null) continue;
    const known = ROUTE_VALUES[option];
    if (typeof value !== 'string' || known?.includes(value) === false) {
      throw configError(`${option}: expected ${known === undefined ? 'text' : known.join(', ')}`);
    }
    route[option] = value;
  }
  if (options.shardKey !== undefined && options.shardKey !== null) route.shardKey = keyText(options.shardKey);
  if (options.branches !== undefined) route.branches = options.branches;
  const cache = cachePart(options, isTold);
  if (cache !== undefined) route.cache = cache;
  return JSON.stringify(route);
}

/** A value of a shard key as the text of a parameter. */
function keyText(value: unknown): string {
  const content = parameterContent(value);
  if (content === null) throw configError('shardKey: expected a value');
  return typeof content === 'string' ? content : `\\x${Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('hex')}`;
}
