// What a call says about where it runs, and about caching, as the text that the native core reads.
import { configError } from '../errors.js';
import { cachePart } from './cache/query-options.js';
import { parameterContent } from './parameter-text.js';
import type { ShardBranches } from './sharding/sharded-clusters.js';
import type { CacheQueryOptions, RouteOptions } from './types.js';

const ROUTE_VALUES: { readonly [option in (typeof ROUTE_OPTIONS)[number]]?: readonly string[] } = {
  operation: ['read', 'write'],
  readPreference: ['replica', 'primary', 'any'],
  consistencyLevel: ['eventual', 'session', 'strong'],
};

const ROUTE_OPTIONS = ['clusterId', 'schema', 'operation', 'readPreference', 'consistencyLevel'] as const;

/** A route, and what is said about caching, as the native core reads it. */
export function routeText(options: RouteOptions & CacheQueryOptions & ShardBranches, isTold = false): string {
  const route: Record<string, unknown> = {};
  for (const option of ROUTE_OPTIONS) {
    const value: unknown = options[option];
    if (value === undefined || value === null) continue;
    const known = ROUTE_VALUES[option];
    if (typeof value !== 'string' || known?.includes(value) === false) {
      throw configError(`${option}: expected ${known === undefined ? 'text' : known.join(', ')}`);
    }
    route[option] = value;
  }
  if (options.shardKey !== undefined && options.shardKey !== null) route.shardKey = keyText(options.shardKey);
  if (options.branches !== undefined) route.branches = options.branches;
  const cache = cachePart(options, isTold);
  if (cache !== undefined) route.cache = cache;
  return JSON.stringify(route);
}

/** A value of a shard key as the text of a parameter. */
function keyText(value: unknown): string {
  const content = parameterContent(value);
  if (content === null) throw configError('shardKey: expected a value');
  return typeof content === 'string' ? content : `\\x${Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('hex')}`;
}
