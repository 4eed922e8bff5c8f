// A cache of JavaScript values in this process.
import { EventEmitter } from 'node:events';
import { deserialize, serialize } from 'node:v8';
import { tellListeners } from '../../event-telling.js';
import { native } from '../../native.js';
import { BoundedStore, type StoredEntry } from './bounded-store.js';
import type { CacheEntryMetadata, CacheEvents, CacheProvider, CacheSetOptions, CacheStats, EvictionReason } from './cache-provider.js';
import { checkCacheConfig } from './config-check.js';
import type { CacheConfig } from './config.js';
import { matcher } from './invalidation.js';
import { clusterScope, schemaScope, scopesOf, tagScope } from './scopes.js';

/** What an entry takes besides its value, about. */
const OVERHEAD = 200;
const DEFAULT_BYTES = 64 << 20;

/** A value as it is kept: no caller shares it with another. */
interface KeptValue {
  readonly bytes: Uint8Array;
  readonly isCompressed: boolean;
  readonly rawSize: number;
  readonly options: CacheSetOptions;
}

/**
 * Keeps values that can be cloned by structure, with dates, maps and buffers as they are. Each value that is handed out
 * is the caller's own.
 */
export class MemoryCache extends EventEmitter<CacheEvents> implements CacheProvider {
  readonly #config: CacheConfig;
  readonly #store: BoundedStore<KeptValue>;
  readonly #now: () => number;
  #hits = 0;
  #misses = 0;
  #isClosed = false;

  /** @param now tells the time in milliseconds, for tests */
  constructor(config: CacheConfig = {}, now: () => number = Date.now) {
    super();
    checkCacheConfig(config);
    this.#config = config;
    this.#now = now;
    const limits = { maxSize: config.maxSize ?? 1000, maxBytes: config.maxBytes ?? DEFAULT_BYTES, strategy: config.strategy ?? 'lru' } as const;
    this.#store = new BoundedStore(limits, (key, reason) => this.#evicted(key, reason));
  }

  /** The value of a key, or `null`. */
  async get<T = unknown>(key: string): Promise<T | null> {
    const entry = this.#store.use(key, this.#now());
    if (entry === undefined) {
      this.#misses += 1;
      this.#tell('miss', { key });
      return null;
    }
    this.#hits += 1;
    this.#tell('hit', { key });
    return valueOf<T>(entry);
  }

  /** Keeps a value. One larger than all the room is not kept. */
  async set(key: string, value: unknown, options: CacheSetOptions = {}): Promise<void> {
    if (this.#isClosed) return;
    const ttl = options.ttl ?? this.#config.ttl ?? 300_000;
    const kept = this.#keep(value, options);
    const now = this.#now();
    const size = kept.bytes.length + key.length + OVERHEAD;
    const expiresAt = ttl > 0 ? now + ttl : Infinity;
    const entry = { key, value: kept, size, scopes: scopesOf(options), createdAt: now, expiresAt, hits: 0 };
    if (this.#store.put(entry, now)) this.#tell('set', { key, size, ttl: ttl > 0 ? ttl : undefined });
  }

  #keep(value: unknown, options: CacheSetOptions): KeptValue {
    const bytes = serialize(value);
    const rawSize = bytes.length;
    if (this.#config.enableCompression === true && rawSize > (this.#config.compressionThreshold ?? 1024)) {
      const compressed = native.lz4Compress(bytes);
      if (compressed.length < rawSize) return { bytes: compressed, isCompressed: true, rawSize, options };
    }
    // The serializer's buffer may be larger than what was written to it.
    return { bytes: Buffer.from(bytes), isCompressed: false, rawSize, options };
  }

  /** Whether there is a value of this key. */
  async has(key: string): Promise<boolean> {
    return this.#store.peek(key, this.#now()) !== undefined;
  }

  /** Drops a value; gives whether there was one. */
  async delete(key: string): Promise<boolean> {
    const wasThere = this.#store.delete(key);
    if (wasThere) this.#tell('delete', { key });
    return wasThere;
  }

  /** Drops what was kept for a schema; gives how many values. */
  async invalidateBySchema(schema: string): Promise<number> {
    return this.#store.dropScope(schemaScope(schema));
  }

  /** Drops what has any of these tags; gives how many values. */
  async invalidateByTags(tags: readonly string[]): Promise<number> {
    return tags.reduce((count, tag) => count + this.#store.dropScope(tagScope(tag)), 0);
  }

  /** Drops what was kept for a cluster; gives how many values. */
  async invalidateByCluster(clusterId: string): Promise<number> {
    return this.#store.dropScope(clusterScope(clusterId));
  }

  /** Drops what has a key that is matched; gives how many values. All keys are searched. */
  async invalidateByPattern(pattern: RegExp | string): Promise<number> {
    return this.#store.dropWhere(matcher(pattern));
  }

  /** What is known of an entry, or `null`. */
  async getMetadata(key: string): Promise<CacheEntryMetadata | null> {
    const entry = this.#store.peek(key, this.#now());
    if (entry === undefined) return null;
    const { tags = [], schema, clusterId } = entry.value.options;
    const expiresAt = entry.expiresAt === Infinity ? undefined : new Date(entry.expiresAt);
    return { key, createdAt: new Date(entry.createdAt), expiresAt, size: entry.size, hits: entry.hits, tags: [...tags], schema, clusterId };
  }

  /** What the cache has done, and holds. */
  async getStats(): Promise<CacheStats> {
    const values = this.#store.live(-Infinity).map(({ value }) => value);
    const raw = values.reduce((sum, { rawSize }) => sum + rawSize, 0);
    const stored = values.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const asked = this.#hits + this.#misses;
    return {
      hits: this.#hits,
      misses: this.#misses,
      hitRate: asked === 0 ? 0 : this.#hits / asked,
      totalSize: this.#store.bytes,
      itemCount: this.#store.size,
      evictions: this.#store.evictions,
      compressionRatio: stored === 0 ? 1 : raw / stored,
    };
  }

  /** All values that are still valid, with how they were kept and the milliseconds they have left. */
  entries(): { key: string; value: unknown; options: CacheSetOptions }[] {
    const now = this.#now();
    return this.#store.live(now).map((entry) => {
      const ttl = entry.expiresAt === Infinity ? 0 : entry.expiresAt - now;
      return { key: entry.key, value: valueOf(entry), options: { ...entry.value.options, ttl } };
    });
  }

  /** Drops everything. */
  async clear(): Promise<void> {
    this.#store.dropWhere(() => true);
  }

  async isHealthy(): Promise<boolean> {
    return !this.#isClosed;
  }

  /** Drops everything, and keeps nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#store.dropWhere(() => true);
    this.removeAllListeners();
  }

  #evicted(key: string, reason: EvictionReason): void {
    this.#tell('eviction', { key, reason });
  }

  #tell<E extends keyof CacheEvents>(event: E, ...args: CacheEvents[E]): void {
    tellListeners(this, event, args);
  }
}

function valueOf<T>({ value: { bytes, isCompressed } }: StoredEntry<KeptValue>): T {
  return deserialize(isCompressed ? native.lz4Decompress(bytes) : bytes) as T;
}
