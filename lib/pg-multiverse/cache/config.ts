// The types of configurations of caches.

/** What goes first when a cache is full: what was not used for longest, what was used least often, what came first. */
export type EvictionStrategy = 'lru' | 'lfu' | 'fifo';

/** A node of a Redis cluster. */
export interface RedisClusterNode {
  host: string;
  port: number;
}

/** A Redis sentinel. */
export interface RedisSentinelNode {
  host: string;
  port: number;
}

/** How Redis is reached, and how values lie there. */
export interface RedisConfig {
  /** `localhost` by default. */
  host?: string;
  /** 6379 by default. */
  port?: number;
  username?: string;
  password?: string;
  /** The number of the database, 0 by default; clusters have only that. */
  db?: number;
  /** Nodes of a Redis cluster, in place of `host` and `port`. */
  cluster?: RedisClusterNode[] | { nodes: RedisClusterNode[] };
  /** Sentinels that know the master, in place of `host` and `port`. */
  sentinels?: RedisSentinelNode[];
  /** The name under which sentinels know the master, `mymaster` by default. */
  sentinelName?: string;
  /** The password of the sentinels. */
  sentinelPassword?: string;
  /** What all keys begin with, `pgmv:` by default. */
  keyPrefix?: string;
  /** Milliseconds that connecting may take, 10000 by default. */
  connectTimeout?: number;
  /** Milliseconds that an answer may take, 5000 by default. */
  commandTimeout?: number;
  /** `none` by default. */
  compression?: 'none' | 'gzip' | 'lz4';
  /** Values of fewer bytes are not compressed, 1024 by default. */
  compressionThreshold?: number;
  /** `json` by default. */
  serialization?: 'json' | 'msgpack';
}

/** What is used while Redis is out of reach. */
export interface CacheFallbackConfig {
  /** On by default where there is a fallback at all. */
  enabled?: boolean;
  provider?: 'memory';
  /** Whether what was cached meanwhile is brought to Redis when it is back; it is by default. */
  syncOnReconnect?: boolean;
}

/** The configuration of a cache, as pg-multiverse names it. */
export type CacheProviderConfig = CacheConfig;

/** The configuration of a cache. */
export interface CacheConfig {
  /** The most entries, 1000 by default. */
  maxSize?: number;
  /** The most bytes of all entries together, 64 MiB by default. */
  maxBytes?: number;
  /** Milliseconds for which an entry is valid, 300000 by default; 0 for as long as there is room. */
  ttl?: number;
  /** `lru` by default. */
  strategy?: EvictionStrategy;
  /** Whether large results are compressed by LZ4; they are not by default. */
  enableCompression?: boolean;
  /** Results of fewer bytes are not compressed, 1024 by default. */
  compressionThreshold?: number;
  /** Milliseconds after its end for which a result is still handed out while it is fetched anew, 0 by default. */
  staleWhileRevalidate?: number;
  /**
   * `wal`: the cache follows the log of each cluster's primary, and drops what a commit has touched. `ttl`, the default:
   * entries end by their time and by `invalidateCache` only.
   */
  invalidate?: 'ttl' | 'wal';
  /** The publication by which logs are followed, `replicaverse_cache` by default. */
  publication?: string;
  /** Where entries lie: in this process, or in Redis for all processes. */
  provider?: 'memory' | 'redis';
  redis?: RedisConfig;
  fallback?: CacheFallbackConfig;
}
