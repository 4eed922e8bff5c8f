// Caches of results: in memory, in Redis, and the factory that makes either.
export { ReplicaverseError } from './errors.js';
export { CacheFactory } from './pg-multiverse/cache/cache-factory.js';
export type * from './pg-multiverse/cache/cache-provider.js';
export type * from './pg-multiverse/cache/config.js';
export { FallbackCache } from './pg-multiverse/cache/fallback-cache.js';
export type { CacheInvalidationCriteria } from './pg-multiverse/cache/invalidation.js';
export { MemoryCache } from './pg-multiverse/cache/memory-cache.js';
export { RedisCache } from './pg-multiverse/cache/redis/redis-cache.js';
