// The function of an application that decides conflicts, as the core calls it.

import type { ResolveConflict, RowVersions } from './stream-types.js';

/** Decides a conflict that is given as JSON; the answer is the row, nothing for no row, or why there is none. It does not reject. */
export function resolverOf(resolve: ResolveConflict): (conflict: string) => Promise<string> {
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
