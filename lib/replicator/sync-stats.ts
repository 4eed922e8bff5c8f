// Counting what a sync does to each entity.
import type { CollectionStats, RowFailure, SyncStats } from './types.js';

/** A row that differed on both sides, and which of them stayed. */
export interface SyncConflict {
  /** The id of the row. */
  key: string;
  winner: 'source' | 'target';
  /** The fields that differed. */
  fields: string[];
}

/** What a sync did to one entity. */
export interface EntitySyncStats extends Omit<CollectionStats, 'conflicts' | 'conflictList'> {
  /** Rows that differed on both sides, in a bidirectional sync. */
  conflicts: number;
  /** The first 100 of them. */
  conflictList: SyncConflict[];
}

/** What a sync did. */
export interface EngineStats extends Omit<SyncStats, 'details'> {
  details: EntitySyncStats[];
}

/** How many failures and conflicts are named. */
const NAMED = 100;

/** Collects what happens to one entity. */
export class EntityTally {
  readonly stats: EntitySyncStats;

  constructor(collection: string) {
    this.stats = {
      collection,
      created: 0,
      updated: 0,
      deleted: 0,
      skipped: 0,
      errors: 0,
      failures: [],
      conversions: [],
      conflicts: 0,
      conflictList: [],
      skips: [],
    };
  }

  count(outcome: 'created' | 'updated' | 'deleted' | 'skipped'): void {
    this.stats[outcome] += 1;
  }

  /** Counts a row that could not be written, or, with an empty key, an entity that could not be read. */
  fail(key: string, error: unknown): void {
    this.stats.errors += 1;
    const failure: RowFailure = { key, reason: error instanceof Error ? error.message : String(error) };
    if (this.stats.failures.length < NAMED) this.stats.failures.push(failure);
  }

  conflict(conflict: SyncConflict): void {
    this.stats.conflicts += 1;
    if (this.stats.conflictList.length < NAMED) this.stats.conflictList.push(conflict);
  }

  /** Counts fields of a row that the target holds in another form than it was given. */
  convert(fields: readonly string[]): void {
    for (const field of fields) {
      const known = this.stats.conversions.find((conversion) => conversion.field === field);
      if (known !== undefined) known.rows += 1;
      else this.stats.conversions.push({ field, reason: 'the target holds the value in another form', rows: 1 });
    }
  }
}

/**
 * The stats of a whole run.
 *
 * @param synced what counts as a synced row
 */
export function runStats(ruleName: string, started: number, tallies: readonly EntityTally[], synced: readonly ('created' | 'updated' | 'deleted')[]): EngineStats {
  const details = tallies.map(({ stats }) => stats);
  const total = (counts: (each: EntitySyncStats) => number): number => details.reduce((sum, each) => sum + counts(each), 0);
  return {
    ruleName,
    lastSync: new Date(),
    recordsSynced: total((each) => synced.reduce((sum, outcome) => sum + each[outcome], 0)),
    errors: total((each) => each.errors),
    duration: Date.now() - started,
    details,
  };
}
