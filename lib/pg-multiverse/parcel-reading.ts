// Reading parcels: the outcomes of many queries, which the native core packs into numbers and texts.
import { ReplicaverseError } from '../errors.js';
import type { EvictionReason } from './cache/cache-provider.js';
import { errorOfFailure } from './failures.js';
import type { PendingQuery } from './pending-query.js';
import { Shape } from './shapes.js';
import type { ValueParsers } from './value-parsers.js';

/** The kinds of items; src/multiverse/parcel.rs writes them. */
const Item = { shape: 1, name: 2, begin: 3, rows: 4, result: 5, done: 6, failed: 7, looked: 8, evicted: 9, remoteLook: 10, remoteEnd: 11, logState: 12, remoteDrop: 13, holds: 14 } as const;

const HAS_OID = 1;
const HAS_ROWS = 2;
const FIRST_ARENA = 128 << 10;
/** The words before the items: the number of their words, of doubles, whether another parcel waits, and one for the alignment. */
const HEADER_WORDS = 4;
const TWO_TO_32 = 4_294_967_296;

/** Who is told of queries that have ended. */
export interface EndListener {
  /** The query is no longer on its way. Gives it, for what is left to be said. */
  finish(slot: number): PendingQuery | undefined;
  /** The query that is on its way in a slot. */
  at(slot: number): PendingQuery | undefined;
  /** The cache has the result of the query for so many microseconds, until its epoch ends. */
  holds(query: PendingQuery, epoch: number, micros: number): void;
}

/** Who is told of everything else. */
export interface NewsListener {
  /** An entry has left the cache. */
  evicted(key: string, reason: EvictionReason): void;
  /** The cache follows the log of a cluster, or cannot for this reason. */
  logState(clusterId: string, lost: string | undefined): void;
  /** A result is looked for in the shared cache. */
  lookedForRemotely(low: number, high: number, question: string): void;
  /** Everything of these scopes is to be dropped from the shared cache. */
  invalidatedForRemote(scopes: readonly string[]): void;
  /** What was looked for there has been fetched. */
  fetchedForRemote(low: number, high: number, entry: string | undefined, bytes: Buffer): void;
}

/** In the order of the numbers that src/multiverse/invalidation.rs writes. */
const EVICTION_REASONS: readonly EvictionReason[] = ['ttl', 'size', 'manual'];

/** The memory to which parcels are written, and its contents as numbers. */
export class ParcelReader {
  #bytes = Buffer.from(new ArrayBuffer(FIRST_ARENA));
  #words = new Int32Array(this.#bytes.buffer);
  #doubles = new Float64Array(this.#bytes.buffer);
  #shapes = new Map<number, Shape>();
  readonly #names: string[] = [];
  readonly #parsers: ValueParsers;
  readonly #queries: EndListener;
  readonly #news: NewsListener;

  constructor(parsers: ValueParsers, queries: EndListener, news: NewsListener) {
    this.#parsers = parsers;
    this.#queries = queries;
    this.#news = news;
  }

  /** Where the next parcel is to be written. */
  get arena(): Uint8Array {
    return this.#bytes;
  }

  /** Makes room for a parcel. */
  grow(size: number): void {
    this.#bytes = Buffer.from(new ArrayBuffer((size + 0xffff) & ~0xffff));
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#doubles = new Float64Array(this.#bytes.buffer);
  }

  /** A large parcel was an exception. */
  shrink(): void {
    if (this.#bytes.length > FIRST_ARENA * 8) this.grow(FIRST_ARENA);
  }

  /** Reads the parcel in the arena and settles the queries in it. Gives whether another parcel waits. */
  read(texts: readonly (string | null)[]): boolean {
    const words = this.#words;
    const end = HEADER_WORDS + (words[0] as number);
    const hasMore = words[2] === 1;
    let at = HEADER_WORDS;
    while (at < end) at = this.#readItem(words, at, texts);
    return hasMore;
  }

  /** Reads one item and gives the place of the next. */
  #readItem(words: Int32Array, at: number, texts: readonly (string | null)[]): number {
    const first = words[at + 1] as number;
    const second = words[at + 2] as number;
    switch (words[at] as number) {
      case Item.begin:
        this.#queries.at(first)?.begin(this.#shapes.get(second) as Shape);
        return at + 3;
      case Item.rows:
        this.#readRows(words, at, texts);
        return at + 8 + (words[at + 7] as number);
      case Item.result:
        this.#readResult(words, at);
        return at + 7;
      case Item.done: {
        const micros = (words[at + 3] as number >>> 0) + (words[at + 4] as number >>> 0) * TWO_TO_32;
        this.#succeed(first, this.#names[second] as string, micros);
        return at + 5;
      }
      case Item.failed:
        this.#fail(first, errorOfFailure(texts[second] as string));
        return at + 3;
      case Item.looked: {
        const query = this.#queries.at(first);
        if (query !== undefined) query.lookup = { isHit: second === 1, key: texts[words[at + 3] as number] as string };
        return at + 4;
      }
      case Item.evicted:
        this.#news.evicted(texts[second] as string, EVICTION_REASONS[first] as EvictionReason);
        return at + 3;
      case Item.logState:
        this.#news.logState(texts[first] as string, second < 0 ? undefined : (texts[second] as string));
        return at + 3;
      case Item.remoteLook:
        this.#news.lookedForRemotely(first, second, texts[words[at + 3] as number] as string);
        return at + 4;
      case Item.remoteEnd: {
        const start = this.#bytesStart(words) + (words[at + 4] as number);
        const bytes = Buffer.from(this.#bytes.subarray(start, start + (words[at + 5] as number)));
        const entry = words[at + 3] as number;
        this.#news.fetchedForRemote(first, second, entry < 0 ? undefined : (texts[entry] as string), bytes);
        return at + 6;
      }
      case Item.remoteDrop:
        this.#news.invalidatedForRemote(JSON.parse(texts[first] as string) as string[]);
        return at + 2;
      case Item.holds: {
        const query = this.#queries.at(first);
        if (query !== undefined) this.#queries.holds(query, second >>> 0, words[at + 3] as number);
        return at + 4;
      }
      case Item.shape:
        if (words[at + 3] === 1) this.#shapes = new Map();
        this.#shapes.set(first, new Shape(texts[second] as string, this.#parsers));
        return at + 4;
      case Item.name:
        this.#names[first] = texts[second] as string;
        return at + 3;
      default:
        throw new Error(`the native addon wrote an unknown item ${words[at]}: it is of another version than this code`);
    }
  }

  #readRows(words: Int32Array, at: number, texts: readonly (string | null)[]): void {
    const query = this.#queries.at(words[at + 1] as number);
    if (query === undefined) return;
    const textAt = words[at + 3] as number;
    const jsonAt = words[at + 4] as number;
    const text = textAt < 0 ? '' : (texts[textAt] ?? null);
    const json = jsonAt < 0 ? '[]' : (texts[jsonAt] ?? null);
    if (text === null || json === null) {
      query.spoil(new ReplicaverseError('a value of the result is longer than a JavaScript string can be', { kind: 'Value', code: 'ERR_VALUE' }));
      return;
    }
    query.takeRows({
      count: words[at + 2] as number,
      words,
      word: at + 8,
      doubles: this.#doubles,
      // The doubles follow the words, at the next multiple of their own size.
      double: ((HEADER_WORDS + (words[0] as number) + 1) >>> 1) + (words[at + 5] as number),
      bytes: this.#bytes,
      byte: this.#bytesStart(words) + (words[at + 6] as number),
      text,
      json: jsonAt < 0 ? NO_JSON : (JSON.parse(json) as unknown[]),
    });
  }

  /** The bytes follow the doubles. */
  #bytesStart(words: Int32Array): number {
    return (((HEADER_WORDS + (words[0] as number) + 1) >>> 1) + (words[1] as number)) * 8;
  }

  #readResult(words: Int32Array, at: number): void {
    const name = words[at + 2] as number;
    const known = words[at + 3] as number;
    const oid = (known & HAS_OID) === 0 ? null : (words[at + 4] as number) >>> 0;
    const count = (known & HAS_ROWS) === 0 ? null : (words[at + 5] as number >>> 0) + (words[at + 6] as number >>> 0) * TWO_TO_32;
    this.#queries.at(words[at + 1] as number)?.endResult(name < 0 ? null : (this.#names[name] as string), oid, count);
  }

  #succeed(slot: number, clusterId: string, micros: number): void {
    this.#queries.finish(slot)?.succeed(clusterId, micros / 1000);
  }

  #fail(slot: number, error: unknown): void {
    this.#queries.finish(slot)?.fail(error);
  }
}

const NO_JSON: readonly unknown[] = [];
