// What an operator has to look at: rows that were set aside, conflicts, and what a comparison found.
import type { DeadLetters, RowConflict, SyncStats, SyncVerdict } from '../replicator/types.js';
import type { MonitoredManager, RuleRun } from './types.js';

/** How many rows of a kind are named. */
const NAMED = 100;

/** A comparison of a rule's ends. */
export interface VerificationView {
  /** Milliseconds since 1970. */
  ts: number;
  equal: boolean;
  rows: number;
  different: number;
  missing: number;
  extra: number;
  repaired: number;
}

/** What there is to be looked at of a rule. */
export interface RuleConcerns {
  rule: string;
  deadLetters?: DeadLetters;
  /** Why the rows that are set aside cannot be told. */
  deadLettersError?: string;
  conflicts: (RowConflict & { collection: string })[];
  conflictCount: number;
  verification?: VerificationView;
}

/** The comparisons that were asked for here. */
export class Verifications {
  readonly #views = new Map<string, VerificationView>();

  add(rule: string, { equal, collections }: SyncVerdict, ts = Date.now()): VerificationView {
    const sum = (key: 'rows' | 'different' | 'missing' | 'extra' | 'repaired'): number => collections.reduce((total, part) => total + part[key], 0);
    const view = { ts, equal, rows: sum('rows'), different: sum('different'), missing: sum('missing'), extra: sum('extra'), repaired: sum('repaired') };
    this.#views.set(rule, view);
    return view;
  }

  of(rule: string): VerificationView | undefined {
    return this.#views.get(rule);
  }
}

/** What there is to be looked at, of every rule. */
export async function concernsOf(manager: MonitoredManager, verifications: Verifications): Promise<RuleConcerns[]> {
  return await Promise.all(
    manager.listRules().map(async ({ name, mode }): Promise<RuleConcerns> => {
      const stats = manager.getSyncStats?.(name);
      const verification = verifications.of(name);
      return {
        rule: name,
        ...conflictsOf(stats),
        ...(mode === 'cdc' ? await deadLettersOf(manager, name) : {}),
        ...(verification === undefined ? {} : { verification }),
      };
    }),
  );
}

async function deadLettersOf(manager: MonitoredManager, rule: string): Promise<Pick<RuleConcerns, 'deadLetters' | 'deadLettersError'>> {
  try {
    const deadLetters = await manager.getDeadLetters?.(rule, { most: NAMED });
    return deadLetters === undefined ? {} : { deadLetters };
  } catch (error) {
    return { deadLettersError: error instanceof Error ? error.message : String(error) };
  }
}

function conflictsOf(stats: SyncStats | Partial<RuleRun> | undefined): Pick<RuleConcerns, 'conflicts' | 'conflictCount'> {
  if (stats === undefined || !('details' in stats)) return { conflicts: [], conflictCount: 0 };
  const conflicts = stats.details.flatMap(({ collection, conflictList }) => conflictList.map((conflict) => ({ ...conflict, collection })));
  const conflictCount = stats.details.reduce((total, { conflicts: count }) => total + count, 0);
  return { conflicts: conflicts.slice(0, NAMED), conflictCount };
}
