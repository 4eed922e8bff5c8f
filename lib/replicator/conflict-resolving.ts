// The function of an application that decides conflicts, as the core calls it.

import { configError } from '../errors.js';
import type { ResolveConflict, RowVersions } from './stream-types.js';
import type { ReplicationRule } from './types.js';

/**
 * The function that decides conflicts for a rule, as the core calls it. Of a rule that does not exist, its start tells.
 *
 * @throws where the rule needs one and has none, or has one and does not ask it.
 */
export function resolverFor(ruleName: string, rule: ReplicationRule | undefined, resolve: ResolveConflict | undefined): ReturnType<typeof resolverOf> | undefined {
  const asks = rule?.conflictResolution === 'resolve';
  if (resolve === undefined) {
    if (asks) throw configError(`rule "${ruleName}".conflictResolution: resolve needs start("${ruleName}", { resolve })`);
    return undefined;
  }
  if (rule !== undefined && !asks) throw configError(`start("${ruleName}", { resolve }): the rule needs conflictResolution: 'resolve'`);
  return resolverOf(resolve);
}

/** Decides a conflict that is given as JSON; the answer is the row, nothing for no row, or why there is none. It does not reject. */
function resolverOf(resolve: ResolveConflict): (conflict: string) => Promise<string> {
  return async (conflict) => {
    try {
      const row = await resolve(JSON.parse(conflict) as RowVersions);
      if (row === null) return '{}';
      if (typeof row !== 'object' || Array.isArray(row)) throw new TypeError(`resolve: expected a row or null, found ${typeof row}`);
      return JSON.stringify({ row });
    } catch (error) {
      return JSON.stringify({ error: error instanceof Error ? error.message : String(error) });
    }
  };
}
