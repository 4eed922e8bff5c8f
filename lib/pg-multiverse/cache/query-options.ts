// What a query says about caching, as the native core reads it.
import { configError } from '../../errors.js';
import type { CacheQueryOptions, RouteOptions } from '../types.js';

/** What the native core is told; nothing where nothing is said. */
export function cachePart(options: RouteOptions & CacheQueryOptions, isTold: boolean): Record<string, unknown> | undefined {
  const { cache, cacheTtl, cacheKey, tags } = options;
  const isSilent = cache === undefined && cacheTtl === undefined && cacheKey === undefined && tags === undefined;
  // A schema may be one whose queries are cached unasked.
  if (isSilent && !(isTold && options.schema !== undefined)) return undefined;
  if (cache !== undefined && cache !== null && typeof cache !== 'boolean') throw configError('cache: expected true or false');
  if (cacheTtl !== undefined && cacheTtl !== null && !(typeof cacheTtl === 'number' && cacheTtl >= 0)) throw configError('cacheTtl: expected a number of milliseconds from 0');
  if (cacheKey !== undefined && cacheKey !== null && typeof cacheKey !== 'string') throw configError('cacheKey: expected text');
  if (tags !== undefined && tags !== null && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'))) throw configError('tags: expected a list of texts');
  const part: Record<string, unknown> = {};
  if (typeof cache === 'boolean') part.wanted = cache;
  if (typeof cacheTtl === 'number') part.ttl = Math.min(Math.ceil(cacheTtl), Number.MAX_SAFE_INTEGER);
  if (typeof cacheKey === 'string') part.key = cacheKey;
  if (Array.isArray(tags) && tags.length > 0) part.tags = tags;
  if (isTold) part.told = true;
  return part;
}
