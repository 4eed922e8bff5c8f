// A bounded store of JavaScript values: what is found by key, lives for its time, goes in a certain order, is dropped by scope.
import type { EvictionStrategy } from './config.js';
import type { EvictionReason } from './cache-provider.js';

/** How much a store holds. */
export interface StoreLimits {
  readonly maxSize: number;
  readonly maxBytes: number;
  readonly strategy: EvictionStrategy;
}

/** An entry. */
export interface StoredEntry<V> {
  readonly key: string;
  readonly value: V;
  /** Bytes. */
  readonly size: number;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  /** Milliseconds since 1970; infinite for one without an end. */
  readonly expiresAt: number;
  hits: number;
}

/**
 * Entries lie in buckets by how often they were used, each bucket in the order of use. The first of the lowest bucket goes
 * first. Under LRU and FIFO there is one bucket.
 */
export class BoundedStore<V> {
  readonly #limits: StoreLimits;
  readonly #entries = new Map<string, StoredEntry<V>>();
  readonly #buckets = new Map<number, Set<string>>();
  readonly #bucketOf = new Map<string, number>();
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #evicted: (key: string, reason: EvictionReason) => void;
  #bytes = 0;
  #evictions = 0;

  /** @param evicted is told of what leaves the store other than by `delete` and replacement */
  constructor(limits: StoreLimits, evicted: (key: string, reason: EvictionReason) => void) {
    this.#limits = limits;
    this.#evicted = evicted;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** The entry of a key, which counts as a use. */
  use(key: string, now: number): StoredEntry<V> | undefined {
    const entry = this.peek(key, now);
    if (entry === undefined) return undefined;
    entry.hits += 1;
    if (this.#limits.strategy !== 'fifo') this.#place(key, this.#limits.strategy === 'lfu' ? (this.#bucketOf.get(key) ?? 0) + 1 : 0);
    return entry;
  }

  /** The entry of a key. One whose time is over goes. */
  peek(key: string, now: number): StoredEntry<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt > now) return entry;
    this.#evict(key, 'ttl');
    return undefined;
  }

  /** Keeps an entry in place of one of the same key. Gives whether it was kept: one larger than all the room is not. */
  put(entry: StoredEntry<V>, now: number): boolean {
    this.delete(entry.key);
    const { maxSize, maxBytes } = this.#limits;
    if (entry.size > maxBytes || maxSize < 1) return false;
    while (this.#entries.size >= maxSize || this.#bytes + entry.size > maxBytes) this.#makeRoom(now);
    this.#entries.set(entry.key, entry);
    this.#place(entry.key, 0);
    this.#bytes += entry.size;
    for (const scope of entry.scopes) {
      const keys = this.#keysOf.get(scope);
      if (keys === undefined) this.#keysOf.set(scope, new Set([entry.key]));
      else keys.add(entry.key);
    }
    return true;
  }

  /** Drops an entry; gives whether there was one. */
  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#leaveBucket(key);
    this.#bytes -= entry.size;
    for (const scope of entry.scopes) {
      const keys = this.#keysOf.get(scope);
      if (keys?.delete(key) === true && keys.size === 0) this.#keysOf.delete(scope);
    }
    return true;
  }

  /** Drops all entries of a scope; gives their number. */
  dropScope(scope: string): number {
    return this.#dropAll([...(this.#keysOf.get(scope) ?? [])]);
  }

  /** Drops the entries whose key is chosen; gives their number. */
  dropWhere(isChosen: (key: string) => boolean): number {
    return this.#dropAll([...this.#entries.keys()].filter(isChosen));
  }

  /** All entries whose time is not over. */
  live(now: number): StoredEntry<V>[] {
    return [...this.#entries.values()].filter((entry) => entry.expiresAt > now);
  }

  #dropAll(keys: readonly string[]): number {
    for (const key of keys) {
      this.delete(key);
      this.#evicted(key, 'manual');
    }
    return keys.length;
  }

  #makeRoom(now: number): void {
    for (const [key, { expiresAt }] of this.#entries) {
      if (expiresAt <= now) {
        this.#evict(key, 'ttl');
        return;
      }
      // Only the oldest are looked at: what is over further behind goes when it is asked for, or as the first.
      break;
    }
    const lowest = Math.min(...this.#buckets.keys());
    for (const key of this.#buckets.get(lowest) ?? []) {
      this.#evict(key, 'size');
      return;
    }
  }

  #evict(key: string, reason: EvictionReason): void {
    if (!this.delete(key)) return;
    this.#evictions += 1;
    this.#evicted(key, reason);
  }

  #place(key: string, bucket: number): void {
    this.#leaveBucket(key);
    this.#bucketOf.set(key, bucket);
    const keys = this.#buckets.get(bucket);
    if (keys === undefined) this.#buckets.set(bucket, new Set([key]));
    else keys.add(key);
  }

  #leaveBucket(key: string): void {
    const bucket = this.#bucketOf.get(key);
    if (bucket === undefined) return;
    this.#bucketOf.delete(key);
    const keys = this.#buckets.get(bucket);
    if (keys?.delete(key) === true && keys.size === 0) this.#buckets.delete(bucket);
  }
}
