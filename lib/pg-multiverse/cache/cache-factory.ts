// Makes caches as configurations say.
import { configError } from '../../errors.js';
import type { ValidationResult } from '../config-types.js';
import type { CacheProvider } from './cache-provider.js';
import { checkCacheConfig, validateCacheConfig } from './config-check.js';
import type { CacheConfig } from './config.js';
import { FallbackCache } from './fallback-cache.js';
import { MemoryCache } from './memory-cache.js';
import { RedisCache } from './redis/redis-cache.js';

/** Makes caches. */
export class CacheFactory {
  static #instance: CacheFactory | undefined = undefined;

  /** The factory of this process. */
  static getInstance(): CacheFactory {
    CacheFactory.#instance ??= new CacheFactory();
    return CacheFactory.#instance;
  }

  /**
   * A cache in memory, or in Redis where the configuration says so.
   *
   * @throws an error of kind `Config` that names what is wrong
   */
  createProvider(config: CacheConfig = {}): MemoryCache | RedisCache {
    checkCacheConfig(config);
    return config.provider === 'redis' ? new RedisCache(config) : new MemoryCache(config);
  }

  /**
   * A cache in Redis that goes on in memory while Redis is out of reach, unless `fallback.enabled` is false. Where the
   * configuration is not for Redis, a cache in memory.
   *
   * @throws an error of kind `Config` that names what is wrong
   */
  createProviderWithFallback(config: CacheConfig): CacheProvider & (MemoryCache | RedisCache | FallbackCache) {
    if ((config as unknown) === undefined) throw configError('cache: expected an object of options');
    checkCacheConfig(config);
    if (config.provider !== 'redis' || config.fallback?.enabled === false) return this.createProvider(config);
    return new FallbackCache(config);
  }

  /** What is wrong with a configuration, and what is doubtful. */
  validateConfig(config: CacheConfig): ValidationResult {
    return validateCacheConfig(config);
  }
}
