// Reports of the core, from JSON to what applications read.

import type { DeadLetters, SyncCursor, SyncStats } from './types.js';

type WithMillis<T, K extends keyof T> = Omit<T, K> & { [P in K]: number | null };

/** The stats with their moment as a Date. */
export function readStats(json: string): SyncStats {
  const stats = JSON.parse(json) as WithMillis<SyncStats, 'lastSync'>;
  return { ...stats, lastSync: stats.lastSync === null ? null : new Date(stats.lastSync) };
}

/** The cursor with its moments as Dates. */
export function readCursor(json: string): SyncCursor {
  const { ruleName, cursors } = JSON.parse(json) as { ruleName: string; cursors: Record<string, number> };
  const dates = Object.entries(cursors).map(([collection, millis]) => [collection, new Date(millis)]);
  return { ruleName, cursors: Object.fromEntries(dates) as Record<string, Date> };
}

/** Rows that are set aside, with their moments as Dates. */
export function readDeadLetters(json: string): DeadLetters {
  const { count, rows } = JSON.parse(json) as { count: number; rows: WithMillis<DeadLetters['rows'][number], 'firstAt' | 'lastAt'>[] };
  return { count, rows: rows.map((row) => ({ ...row, firstAt: new Date(row.firstAt ?? 0), lastAt: new Date(row.lastAt ?? 0) })) };
}
