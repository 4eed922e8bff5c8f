// A cache in Redis with one in memory for the time Redis is out of reach.
import { EventEmitter } from 'node:events';
import { ReplicaverseError } from '../../errors.js';
import { tellListeners } from '../../event-telling.js';
import type { CacheEntryMetadata, CacheEvents, CacheProvider, CacheSetOptions, CacheStats } from './cache-provider.js';
import type { CacheConfig } from './config.js';
import { matcher } from './invalidation.js';
import { MemoryCache } from './memory-cache.js';
import { RedisCache } from './redis/redis-cache.js';

/** A change that Redis is to be told of when it is back. */
type Change = (redis: RedisCache) => Promise<unknown>;

/** More changes than this are told as one: everything is dropped. */
const MOST_CHANGES = 10_000;
/** Milliseconds until a Redis is told again that is connected, and yet did not take what it was told. */
const PAUSE = 1_000;

/**
 * Uses Redis while it answers, else memory. What was dropped meanwhile is dropped in Redis before it is used again, and
 * what was kept is brought there, unless `fallback.syncOnReconnect` is false.
 */
export class FallbackCache extends EventEmitter<CacheEvents> implements CacheProvider {
  readonly #redis: RedisCache;
  readonly #memory: MemoryCache;
  readonly #syncs: boolean;
  #changes: Change[] = [];
  #usesRedis = true;
  #returning: Promise<void> | undefined = undefined;
  #pause: NodeJS.Timeout | undefined = undefined;

  constructor(config: CacheConfig) {
    super();
    this.#redis = new RedisCache(config);
    this.#memory = new MemoryCache({ ...config, provider: 'memory' });
    this.#syncs = config.fallback?.syncOnReconnect !== false;
    for (const cache of [this.#redis, this.#memory]) {
      for (const event of ['hit', 'miss', 'set', 'delete', 'eviction', 'error'] as const) {
        cache.on(event, (...args: unknown[]) => this.#tell(event, ...(args as never)));
      }
    }
    this.#redis.on('connected', () => this.#tell('connected'));
    this.#redis.on('disconnected', () => {
      this.#usesRedis = false;
      this.#tell('disconnected');
    });
    this.#redis.on('reconnected', () => void this.#comeBack());
  }

  /** Whether values come from Redis now. */
  get usesRedis(): boolean {
    return this.#usesRedis && this.#redis.isConnected;
  }

  async get<T = unknown>(key: string): Promise<T | null> {
    return this.usesRedis ? this.#redis.get<T>(key) : this.#memory.get<T>(key);
  }

  async set(key: string, value: unknown, options?: CacheSetOptions): Promise<void> {
    await this.#change((cache) => cache.set(key, value, options), undefined);
  }

  async has(key: string): Promise<boolean> {
    return this.#read((cache) => cache.has(key));
  }

  async delete(key: string): Promise<boolean> {
    return this.#change((cache) => cache.delete(key), (redis) => redis.delete(key));
  }

  async invalidateBySchema(schema: string): Promise<number> {
    return this.#change((cache) => cache.invalidateBySchema(schema), (redis) => redis.invalidateBySchema(schema));
  }

  async invalidateByTags(tags: readonly string[]): Promise<number> {
    return this.#change((cache) => cache.invalidateByTags(tags), (redis) => redis.invalidateByTags(tags));
  }

  async invalidateByCluster(clusterId: string): Promise<number> {
    return this.#change((cache) => cache.invalidateByCluster(clusterId), (redis) => redis.invalidateByCluster(clusterId));
  }

  async invalidateByPattern(pattern: RegExp | string): Promise<number> {
    // One that is none is refused before Redis is to be told of it later.
    matcher(pattern);
    return this.#change((cache) => cache.invalidateByPattern(pattern), (redis) => redis.invalidateByPattern(pattern));
  }

  async getMetadata(key: string): Promise<CacheEntryMetadata | null> {
    return this.#read((cache) => cache.getMetadata(key));
  }

  async getStats(): Promise<CacheStats> {
    return this.#read((cache) => cache.getStats());
  }

  async clear(): Promise<void> {
    await this.#change((cache) => cache.clear(), (redis) => redis.clear());
  }

  /** It always works, with Redis or without. */
  async isHealthy(): Promise<boolean> {
    return this.#read((cache) => cache.isHealthy());
  }

  async close(): Promise<void> {
    clearTimeout(this.#pause);
    await this.#redis.close();
    await this.#memory.close();
    this.removeAllListeners();
  }

  async #read<T>(read: (cache: CacheProvider) => Promise<T>): Promise<T> {
    if (this.usesRedis) {
      try {
        return await read(this.#redis);
      } catch (error) {
        this.#tell('error', error);
      }
    }
    return read(this.#memory);
  }

  /** Makes a change where values come from; `later` is told to Redis when it is back. */
  async #change<T>(change: (cache: CacheProvider) => Promise<T>, later: Change | undefined): Promise<T> {
    if (this.usesRedis) {
      try {
        return await change(this.#redis);
      } catch (error) {
        if (isOfCaller(error)) throw error;
        this.#tell('error', error);
      }
    }
    if (later !== undefined) this.#remember(later);
    // Redis may be back before it is noticed that it was gone.
    if (this.usesRedis) this.#usesRedis = false;
    if (this.#redis.isConnected) setImmediate(() => void this.#comeBack());
    return change(this.#memory);
  }

  #remember(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length > MOST_CHANGES) this.#changes = [(redis) => redis.clear()];
  }

  #comeBack(): Promise<void> {
    this.#returning ??= this.#bringBack().finally(() => {
      this.#returning = undefined;
    });
    return this.#returning;
  }

  async #bringBack(): Promise<void> {
    try {
      while (this.#changes.length > 0) {
        await this.#changes[0]?.(this.#redis);
        this.#changes.shift();
      }
      if (this.#syncs) {
        for (const { key, value, options } of this.#memory.entries()) await this.#bring(key, value, options);
      }
    } catch (error) {
      // It was lost again: all of it is done when it comes back. One that only did not answer does not come back by itself.
      this.#tell('error', error);
      if (this.#redis.isConnected) this.#comeBackLater();
      return;
    }
    await this.#memory.clear();
    this.#usesRedis = true;
    this.#tell('reconnected');
  }

  /** A value that memory could keep and Redis cannot is left out, and so is the one that it replaced. */
  async #bring(key: string, value: unknown, options: CacheSetOptions): Promise<void> {
    try {
      await this.#redis.set(key, value, options);
    } catch (error) {
      if (!this.#redis.isConnected) throw error;
      this.#tell('error', error);
      await this.#redis.delete(key);
    }
  }

  #comeBackLater(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => void this.#comeBack(), PAUSE).unref();
  }

  #tell<E extends keyof CacheEvents>(event: E, ...args: CacheEvents[E]): void {
    if (event === 'error' && this.listenerCount('error') === 0) return;
    tellListeners(this, event, args);
  }
}

/** Whether what was asked for cannot be done, with whatever Redis. */
function isOfCaller(error: unknown): boolean {
  if (error instanceof ReplicaverseError) return error.kind === 'Config' || error.kind === 'Value';
  return error instanceof TypeError;
}
