// The settings of a cache as the native core reads them.
import { checkCacheConfig } from './config-check.js';
import type { CacheConfig } from './config.js';

/** What the native core is told of the cache. */
export type NativeCacheSettings = Readonly<Record<string, unknown>>;

const NATIVE_SETTINGS = ['maxSize', 'maxBytes', 'ttl', 'strategy', 'enableCompression', 'compressionThreshold', 'staleWhileRevalidate', 'invalidate', 'publication'] as const;

/**
 * The settings of the cache of an instance.
 *
 * @throws an error of kind `Config` that names what is wrong
 */
export function nativeCacheSettings(config: CacheConfig): NativeCacheSettings {
  checkCacheConfig(config);
  return Object.fromEntries(NATIVE_SETTINGS.flatMap((name) => (config[name] === undefined ? [] : [[name, config[name]]])));
}
