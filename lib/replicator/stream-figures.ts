// What the rules of a service have done since it was last told in the log.
import type { SyncStats } from './types.js';

/** What a rule has done. */
export interface Done {
  created: number;
  updated: number;
  deleted: number;
  failed: number;
}

interface Reported {
  getSyncStats(rule: string): SyncStats | undefined;
}

const KINDS = ['created', 'updated', 'deleted', 'failed'] as const;
const NOTHING: Done = { created: 0, updated: 0, deleted: 0, failed: 0 };

/**
 * Tells what has been added to the stats of rules. Not the reports of batches are summed: of rows that are copied before the
 * first batch there is none.
 */
export class StreamFigures {
  readonly #manager: Reported;
  /** The sums of each rule's stats when they were last looked at. */
  readonly #seen = new Map<string, Done>();
  /** What was seen and not taken yet. */
  readonly #untold = new Map<string, Done>();

  constructor(manager: Reported) {
    this.#manager = manager;
  }

  /** What a rule has done since this was last called. */
  take(rule: string): Done {
    this.#look(rule);
    const done = this.#untold.get(rule) ?? NOTHING;
    this.#untold.delete(rule);
    return done;
  }

  /** Starts a rule, whose stats count from nothing then. */
  async anew(rule: string, start: () => Promise<void>): Promise<void> {
    this.#look(rule);
    await start();
    this.#seen.delete(rule);
  }

  #look(rule: string): void {
    const now = sumsOf(this.#manager.getSyncStats(rule));
    const seen = this.#seen.get(rule) ?? NOTHING;
    // Stats that have become less are those of another run.
    const before = KINDS.some((kind) => now[kind] < seen[kind]) ? NOTHING : seen;
    const untold = this.#untold.get(rule) ?? NOTHING;
    const sum = (kind: keyof Done): number => untold[kind] + now[kind] - before[kind];
    this.#untold.set(rule, { created: sum('created'), updated: sum('updated'), deleted: sum('deleted'), failed: sum('failed') });
    this.#seen.set(rule, now);
  }
}

function sumsOf(stats: SyncStats | undefined): Done {
  const sum = (kind: 'created' | 'updated' | 'deleted'): number => (stats?.details ?? []).reduce((total, detail) => total + detail[kind], 0);
  return { created: sum('created'), updated: sum('updated'), deleted: sum('deleted'), failed: stats?.errors ?? 0 };
}
