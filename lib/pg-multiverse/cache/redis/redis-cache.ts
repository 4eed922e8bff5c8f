// A cache of JavaScript values in Redis, which processes share.
import { EventEmitter } from 'node:events';
import { ReplicaverseError } from '../../../errors.js';
import { tellListeners } from '../../../event-telling.js';
import type { CacheEntryMetadata, CacheEvents, CacheProvider, CacheSetOptions, CacheStats } from '../cache-provider.js';
import { checkCacheConfig } from '../config-check.js';
import type { CacheConfig } from '../config.js';
import { matcher } from '../invalidation.js';
import { clusterScope, schemaScope, scopesOf, tagScope } from '../scopes.js';
import { RedisEntries } from './entry-store.js';
import { RedisLink } from './link.js';
import { ValueCoding } from './value-coding.js';

/** An entry as it lies in Redis. */
interface Envelope {
  value: unknown;
  createdAt: number;
  options: CacheSetOptions;
}

/**
 * Keeps values in Redis, as JSON or MessagePack. A read that Redis does not answer is a miss and emits `error`; everything
 * else that Redis does not answer rejects.
 */
export class RedisCache extends EventEmitter<CacheEvents> implements CacheProvider {
  readonly #config: CacheConfig;
  readonly #link: RedisLink;
  readonly #entries: RedisEntries;
  readonly #coding: ValueCoding;
  #hits = 0;
  #misses = 0;

  constructor(config: CacheConfig = {}) {
    super();
    checkCacheConfig(config);
    this.#config = config;
    this.#link = new RedisLink(config.redis ?? {}, false);
    this.#entries = new RedisEntries(this.#link);
    this.#coding = new ValueCoding(config.redis ?? {});
    this.#link.on('connected', (isAgain) => this.#tell(isAgain ? 'reconnected' : 'connected'));
    this.#link.on('disconnected', () => this.#tell('disconnected'));
    this.#link.on('error', (error) => this.#tell('error', error));
  }

  /** Whether Redis can be asked now. */
  get isConnected(): boolean {
    return this.#link.isUp;
  }

  /** The value of a key, or `null`. */
  async get<T = unknown>(key: string): Promise<T | null> {
    const envelope = await this.#read(key);
    if (envelope === undefined) {
      this.#misses += 1;
      this.#tell('miss', { key });
      return null;
    }
    this.#hits += 1;
    this.#tell('hit', { key });
    return envelope.value as T;
  }

  async #read(key: string): Promise<Envelope | undefined> {
    try {
      const found = await this.#entries.read(key);
      return found === undefined ? undefined : ((await this.#coding.decode(found.bytes)) as Envelope);
    } catch (error) {
      this.#tell('error', error);
      return undefined;
    }
  }

  /** Keeps a value. */
  async set(key: string, value: unknown, options: CacheSetOptions = {}): Promise<void> {
    const ttl = options.ttl ?? this.#config.ttl ?? 300_000;
    const envelope: Envelope = { value, createdAt: Date.now(), options };
    const bytes = await this.#encode(envelope);
    await this.#entries.write(key, bytes, scopesOf(options), ttl);
    this.#tell('set', { key, size: bytes.length, ttl: ttl > 0 ? ttl : undefined });
  }

  /** What cannot be written is told apart from a Redis that does not answer. */
  async #encode(envelope: Envelope): Promise<Buffer> {
    try {
      return await this.#coding.encode(envelope);
    } catch (cause) {
      const message = `the value cannot be kept in Redis: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new ReplicaverseError(message, { kind: 'Value', code: 'ERR_VALUE', cause });
    }
  }

  /** Whether there is a value of this key. */
  async has(key: string): Promise<boolean> {
    return this.#entries.has(key);
  }

  /** Drops a value; gives whether there was one. */
  async delete(key: string): Promise<boolean> {
    const wasThere = await this.#entries.delete(key);
    if (wasThere) this.#tell('delete', { key });
    return wasThere;
  }

  /** Drops what was kept for a schema, for all processes; gives how many values. */
  async invalidateBySchema(schema: string): Promise<number> {
    return this.#dropScope(schemaScope(schema));
  }

  /** Drops what has any of these tags, for all processes; gives how many values. */
  async invalidateByTags(tags: readonly string[]): Promise<number> {
    let count = 0;
    for (const tag of tags) count += await this.#dropScope(tagScope(tag));
    return count;
  }

  /** Drops what was kept for a cluster, for all processes; gives how many values. */
  async invalidateByCluster(clusterId: string): Promise<number> {
    return this.#dropScope(clusterScope(clusterId));
  }

  /** A value that was set anew may have other scopes than the one before, and only its own count. */
  #dropScope(scope: string): Promise<number> {
    return this.#entries.dropScope(scope, async (bytes) => {
      const envelope = await this.#coding.decode(bytes).catch(() => undefined);
      // What cannot be read may have any.
      return envelope === undefined || scopesOf((envelope as Envelope).options).includes(scope);
    });
  }

  /** Drops what has a key that is matched; gives how many values. All keys are searched. */
  async invalidateByPattern(pattern: RegExp | string): Promise<number> {
    const matches = matcher(pattern);
    const names = (await this.#entries.names()).filter(matches);
    const dropped = await Promise.all(names.map((name) => this.#entries.delete(name)));
    return dropped.filter(Boolean).length;
  }

  /** What is known of an entry, or `null`. Redis does not count hits of a single entry. */
  async getMetadata(key: string): Promise<CacheEntryMetadata | null> {
    const found = await this.#entries.read(key);
    if (found === undefined) return null;
    const { createdAt, options } = (await this.#coding.decode(found.bytes)) as Envelope;
    const { tags = [], schema, clusterId } = options;
    const expiresAt = found.ttl < 0 ? undefined : new Date(Date.now() + found.ttl);
    return { key, createdAt: new Date(createdAt), expiresAt, size: found.bytes.length, hits: 0, tags: [...tags], schema, clusterId };
  }

  /** What this process has asked, and how many entries Redis holds. Sizes and evictions are Redis's own affair, and 0 here. */
  async getStats(): Promise<CacheStats> {
    const asked = this.#hits + this.#misses;
    const itemCount = (await this.#entries.names()).length;
    return { hits: this.#hits, misses: this.#misses, hitRate: asked === 0 ? 0 : this.#hits / asked, totalSize: 0, itemCount, evictions: 0, compressionRatio: 1 };
  }

  /** Drops everything under the prefix. */
  async clear(): Promise<void> {
    await this.#entries.clear();
  }

  /** Whether Redis answers. */
  async isHealthy(): Promise<boolean> {
    return this.#entries.ping().catch(() => false);
  }

  /** Ends the connections. What is kept stays. */
  async close(): Promise<void> {
    this.#link.close();
    this.removeAllListeners();
  }

  #tell<E extends keyof CacheEvents>(event: E, ...args: CacheEvents[E]): void {
    // Without a listener, an error would be thrown here.
    if (event === 'error' && this.listenerCount('error') === 0) return;
    tellListeners(this, event, args);
  }
}
