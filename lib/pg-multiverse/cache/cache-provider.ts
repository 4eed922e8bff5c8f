// What every cache of JavaScript values can do.

/** Why an entry has left a cache: its time was over, there was no room, or it was dropped. */
export type EvictionReason = 'ttl' | 'size' | 'manual';

/** How a value is kept. */
export interface CacheSetOptions {
  /** Milliseconds; 0 for as long as there is room. */
  ttl?: number;
  tags?: readonly string[];
  schema?: string;
  clusterId?: string;
}

/** What is known of an entry. */
export interface CacheEntryMetadata {
  key: string;
  createdAt: Date;
  /** `undefined` for one that has no end. */
  expiresAt: Date | undefined;
  /** Bytes, about. */
  size: number;
  hits: number;
  tags: string[];
  schema: string | undefined;
  clusterId: string | undefined;
}

/** What is known of an entry, as pg-multiverse names it. */
export type CacheEntry = CacheEntryMetadata;

/** What a cache has done, and holds. */
export interface CacheStats {
  hits: number;
  misses: number;
  /** Hits among all, from 0 to 1. */
  hitRate: number;
  /** Bytes, about. */
  totalSize: number;
  itemCount: number;
  evictions: number;
  /** How many times as large values would be without compression. */
  compressionRatio: number;
}

/** A cache of values by key. Values that are handed out are the caller's own. */
export interface CacheProvider {
  get<T = unknown>(key: string): Promise<T | null>;
  set(key: string, value: unknown, options?: CacheSetOptions): Promise<void>;
  has(key: string): Promise<boolean>;
  /** Gives whether there was such an entry. */
  delete(key: string): Promise<boolean>;
  /** These give the number of entries dropped. */
  invalidateBySchema(schema: string): Promise<number>;
  invalidateByTags(tags: readonly string[]): Promise<number>;
  invalidateByCluster(clusterId: string): Promise<number>;
  invalidateByPattern(pattern: RegExp | string): Promise<number>;
  getMetadata(key: string): Promise<CacheEntryMetadata | null>;
  getStats(): Promise<CacheStats>;
  clear(): Promise<void>;
  isHealthy(): Promise<boolean>;
  close(): Promise<void>;
}

/** The events of a cache. */
export interface CacheEvents {
  hit: [{ key: string }];
  miss: [{ key: string }];
  set: [{ key: string; size: number; ttl: number | undefined }];
  delete: [{ key: string }];
  eviction: [{ key: string; reason: EvictionReason }];
  error: [error: unknown];
  connected: [];
  disconnected: [];
  reconnected: [];
}
