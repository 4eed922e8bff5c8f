// The types of continuous change capture: states, reports and the changes themselves.

/**
 * What a rule that was started is doing. `standby`: another process streams it, and this one takes over when that one
 * ends. `retrying`: a database cannot be reached, and is tried again. `lost`: the source no longer holds the changes, and
 * `resync` repairs the target. `stopped`: by `stop`, or for the reason given.
 */
export type RuleStreamState = 'starting' | 'copying' | 'streaming' | 'standby' | 'retrying' | 'stopped' | 'lost';

/** A rule has come into another state. */
export interface StateReport {
  rule: string;
  state: RuleStreamState;
  /** Why, where there is more to say. */
  reason?: string;
}

/** A rule that was started, as it stands. */
export interface RuleState extends StateReport {
  /** Up to where in the source's log the target is, once that is known: an LSN (`16/B374D848`) of PostgreSQL's log, else a number. */
  position?: string;
  /** Milliseconds by which the target is behind, once that has been measured. */
  lag?: number;
  /** Bytes of its log that the source keeps for the rule, once that has been measured. */
  retainedBytes?: number;
  /** Since when it has been in this state. */
  since: Date;
}

/** Transactions of the source that were applied in one transaction of the target. */
export interface BatchReport {
  rule: string;
  transactions: number;
  created: number;
  updated: number;
  /** Rows deleted; of a truncation those that the target held, where it tells. */
  deleted: number;
  /** Changes that the conflict rule left alone. */
  skipped: number;
  /** Rows that were set aside because the target refuses them. */
  failed: number;
  /** Up to where in the source's log the target is now: an LSN (`16/B374D848`) of PostgreSQL's log, else a number. */
  position: string;
  /** When the newest of the transactions was committed, by the clock of the source. */
  committedAt: Date;
  /** Milliseconds that applying took. */
  duration: number;
}

/** How far a rule is behind. */
export interface LagReport {
  rule: string;
  /** Milliseconds. */
  lag: number;
  /** Bytes of its log that the source keeps for the rule. */
  retainedBytes: number;
}

/** What happened to a row, or with `truncate` to all of them. */
export type ChangeOperation = 'insert' | 'update' | 'delete' | 'truncate';

/** A change that was applied at the target. */
export interface ChangeNotice {
  rule: string;
  collection: string;
  operation: ChangeOperation;
  /** The primary key, the parts joined by commas; empty for `truncate`. */
  key: string;
  /** When it was committed, by the clock of the source. */
  at: Date;
}

/** A row had changed on both sides of a bidirectional rule that streams. */
export interface ConflictNotice {
  rule: string;
  collection: string;
  /** The primary key at the source, the parts joined by commas. */
  key: string;
  /** Whose version has stayed; `merged`: the one that `resolve` has made. */
  winner: 'source' | 'target' | 'merged';
  /** The fields that differed; empty where one side had deleted the row, and after `resolve`. */
  fields: string[];
}

/** A row that has changed on both sides of a bidirectional rule. Values are as in JSON: dates are ISO 8601 text. */
export interface RowVersions<T = Record<string, unknown>> {
  rule: string;
  collection: string;
  /** The primary key at the source, the parts joined by commas. */
  key: string;
  /** The row at the source; null when it was deleted there. */
  source: T | null;
  /** The row at the target, with the names of the source; null when it was deleted there. */
  target: T | null;
}

/**
 * Makes one row of two versions. Columns that it leaves out are those of the source, or of the target where the source has no row;
 * null deletes the row on both sides. When it throws, the row is set aside, and both sides keep their versions.
 */
export type ResolveConflict = (conflict: RowVersions) => Record<string, unknown> | null | Promise<Record<string, unknown> | null>;

/** How a rule is streamed. */
export interface StartOptions {
  /** Decides conflicts of a bidirectional rule with `conflictResolution: 'resolve'`, which needs it. */
  resolve?: ResolveConflict;
}

/** A change of the source, as `changes` delivers it. */
export interface SourceChange<T = Record<string, unknown>> {
  collection: string;
  operation: ChangeOperation;
  /** The columns of the primary key; of a row whose key changed, as it is now. Empty for `truncate`. */
  key: Partial<T>;
  /** The primary key before, where it changed. */
  oldKey?: Partial<T>;
  /** The row as it is now; of `insert` and `update`. Columns in `unchanged` are left out. */
  row?: T;
  /** Columns of large values that an update left as they were and whose values the log does not tell. */
  unchanged?: string[];
  /** Where its transaction lies in the source's log: an LSN (`16/B374D848`) of PostgreSQL's, else a number. */
  position: string;
  /** When its transaction was committed, by the clock of the source. */
  committedAt: Date;
  /** The source's name for its transaction. */
  transaction: string;
}

/** How changes are followed. */
export interface ChangesOptions {
  /** Ends the iteration when it is aborted. */
  signal?: AbortSignal;
}
