// What is dropped from the cache.
import { configError } from '../../errors.js';
import type { NativeCriteria } from '../engine-reports.js';

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

/** @throws an error of kind `Config` that names the criterion that cannot be used */
export function checkCriteria(criteria: CacheInvalidationCriteria): void {
  if (typeof criteria !== 'object' || (criteria as unknown) === null) throw configError('invalidateCache: expected an object with schema, tags, cluster or pattern');
  const { schema, tags, cluster, pattern } = criteria as Record<string, unknown>;
  for (const [name, value] of Object.entries({ schema, cluster })) {
    if (value !== undefined && typeof value !== 'string') throw configError(`invalidateCache: ${name}: expected text`);
  }
  const isList = tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'));
  if (!isList) throw configError('invalidateCache: tags: expected a list of texts');
  if (pattern !== undefined) matcher(pattern as RegExp);
}

/** The criteria for the native core; nothing where nothing is given. */
export function nativeCriteria({ schema, tags, cluster, pattern }: CacheInvalidationCriteria, keys: () => readonly string[]): NativeCriteria | undefined {
  if (schema !== undefined) return { schema };
  if (tags !== undefined) return { tags };
  if (cluster !== undefined) return { cluster };
  return pattern === undefined ? undefined : { keys: keys().filter(matcher(pattern)) };
}

/** Whether a key is matched. A sticky or global expression begins anew for each. */
export function matcher(pattern: RegExp | string): (key: string) => boolean {
  if (typeof pattern !== 'string' && !(pattern instanceof RegExp)) throw configError('invalidateCache: pattern: expected a regular expression');
  const expression = compiled(pattern);
  return (key) => {
    expression.lastIndex = 0;
    return expression.test(key);
  };
}

function compiled(pattern: RegExp | string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    const hint = 'a star stands behind what it repeats, as in "users:.*"';
    throw configError(`invalidateCache: pattern: ${(cause as Error).message}; ${hint}`, cause);
  }
}
