// What is dropped from the cache.
import { configError } from '../../errors.js';
import type { NativeCriteria } from '../engine-client.js';

/**
 * Which entries are dropped. Of several criteria the first of `schema`, `tags`, `cluster` and `pattern` counts; with several
 * tags, whatever has any of them is dropped.
 */
export interface CacheInvalidationCriteria {
  schema?: string;
  tags?: string[];
  cluster?: string;
  /** Matched against the keys that the events `cacheHit` and `cacheMiss` tell; all keys are searched. */
  pattern?: RegExp | string;
}

/** The criteria for the native core; nothing where nothing is given. */
export function nativeCriteria(criteria: CacheInvalidationCriteria, keys: () => readonly string[]): NativeCriteria | undefined {
  if (typeof criteria !== 'object' || (criteria as unknown) === null) throw configError('invalidateCache: expected an object with schema, tags, cluster or pattern');
  const { schema, tags, cluster, pattern } = criteria;
  if (schema !== undefined) return { schema: text('schema', schema) };
  if (tags !== undefined) {
    if (!Array.isArray(tags)) throw configError('invalidateCache: tags: expected a list of texts');
    return { tags: tags.map((tag) => text('tags', tag)) };
  }
  if (cluster !== undefined) return { cluster: text('cluster', cluster) };
  if (pattern === undefined) return undefined;
  const matches = matcher(pattern);
  return { keys: keys().filter(matches) };
}

/** Whether a key is matched. A sticky or global expression begins anew for each. */
export function matcher(pattern: RegExp | string): (key: string) => boolean {
  if (typeof pattern !== 'string' && !(pattern instanceof RegExp)) throw configError('invalidateCache: pattern: expected a regular expression');
  const expression = new RegExp(pattern);
  return (key) => {
    expression.lastIndex = 0;
    return expression.test(key);
  };
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw configError(`invalidateCache: ${name}: expected text`);
  return value;
}
