// The last figures of every replica and rule, so that a page that is opened later shows what was before.
import type { MonitoredManager, RuleProgress } from './types.js';
import { replicasOf, runOf } from './views.js';

/** How many points are kept of each. */
const POINTS = 180;

/** Figures at a moment, in milliseconds since 1970. */
export interface ReplicaPoint {
  ts: number;
  /** Milliseconds behind, where that is known. */
  lag: number | null;
}

/** Figures of a rule at a moment. */
export interface RulePoint {
  ts: number;
  /** Rows that were written per second since the point before. */
  rowsPerSecond: number;
  /** Milliseconds behind, of a rule that streams. */
  lag: number | null;
  /** Bytes of its log that the source keeps for the rule. */
  retainedBytes: number | null;
}

/** Replicas are known as `project/name`. */
export interface HistoryView {
  replicas: Record<string, ReplicaPoint[]>;
  rules: Record<string, RulePoint[]>;
}

/** Looks at a manager now and then. */
export class History {
  readonly #replicas = new Map<string, ReplicaPoint[]>();
  readonly #rules = new Map<string, RulePoint[]>();
  /** What each rule had written in all, and when that was seen. */
  readonly #written = new Map<string, { ts: number; rows: number }>();

  /** Takes a point of everything. */
  look(manager: MonitoredManager, ts = Date.now()): void {
    for (const [project, views] of Object.entries(replicasOf(manager))) {
      for (const { name, lag } of views) add(this.#replicas, `${project}/${name}`, { ts, lag: lag ?? null });
    }
    const progress = new Map((manager.getRuleStates?.() ?? []).map((state): [string, RuleProgress] => [state.rule, state]));
    for (const { name } of manager.listRules()) {
      const { lag = null, retainedBytes = null } = progress.get(name) ?? {};
      add(this.#rules, name, { ts, rowsPerSecond: this.#rate(manager, name, ts), lag, retainedBytes });
    }
  }

  /** Everything that is kept, the oldest first. */
  view(): HistoryView {
    return { replicas: Object.fromEntries(this.#replicas), rules: Object.fromEntries(this.#rules) };
  }

  #rate(manager: MonitoredManager, rule: string, ts: number): number {
    const run = runOf(manager.getSyncStats?.(rule));
    const rows = run === undefined ? 0 : run.inserted + run.updated + run.deleted;
    const before = this.#written.get(rule);
    this.#written.set(rule, { ts, rows });
    // A new run counts from nothing.
    const written = before === undefined ? 0 : rows >= before.rows ? rows - before.rows : rows;
    return before === undefined || ts <= before.ts ? 0 : (written * 1000) / (ts - before.ts);
  }
}

function add<P>(points: Map<string, P[]>, name: string, point: P): void {
  const known = points.get(name) ?? [];
  known.push(point);
  if (known.length > POINTS) known.shift();
  points.set(name, known);
}
