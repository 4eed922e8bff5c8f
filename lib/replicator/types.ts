// The types of replicas, rules and their reports.

import type { DialectName } from '../types/connection.js';
import type { DalFilter } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import type { BatchReport, ChangeNotice, ConflictNotice, LagReport, StateReport } from './stream-types.js';

/** What a replica is for: the master takes the writes, slaves serve reads. */
export type ReplicaRole = 'master' | 'slave';

/** How the slave for a read is chosen. */
export type ReadRouting = 'round-robin' | 'least-lag' | 'random';

/** {@link ReadRouting}, as applications of other versions call it. */
export type ReadRoutingStrategy = ReadRouting;

/** How a rule replicates. */
export type ReplicationMode = 'snapshot' | 'cdc' | 'bidirectional';

/**
 * How a rule of mode `cdc` learns of changes: from the source's own log, from a table that triggers fill, or by `updatedAt`,
 * which cannot see deletes. `auto` takes the log where the source has one, else triggers, and never polls.
 */
export type CaptureMethod = 'auto' | 'log' | 'trigger' | 'poll';

/** Which version of a row stays when both sides differ. `timestamp`: the one with the later `updatedAt`. */
export type ConflictResolution = 'source-wins' | 'target-wins' | 'timestamp';

/**
 * What feeds a slave. `auto`: its database, if that turns out to follow the master, else this library, which streams the
 * master's changes to it. `native`: its database, and without that the slave is not used. `managed`: this library. `none`: the
 * application; its lag is not known.
 */
export type ReplicaFeed = 'auto' | 'native' | 'managed' | 'none';

/** How a replica is reached and what it is for. */
export interface ReplicaConfig {
  /** Unique within its project. */
  name: string;
  role: ReplicaRole;
  /** A built-in dialect, or one that was registered by `registerDialect`. */
  dialect: DialectName;
  /** A connection URI; for SQLite a path. */
  uri: string;
  /** Connections kept open (2) and at the most (20). */
  pool?: { min?: number; max?: number };
  /** What happens to the tables of registered entities; `update` when not given. */
  schemaStrategy?: 'validate' | 'update' | 'create' | 'create-drop' | 'none';
  /** Milliseconds behind its master beyond which a slave serves no reads; no limit when not given. */
  lagTolerance?: number;
  /** What feeds it, if it is a slave; `auto` when not given. */
  feed?: ReplicaFeed;
}

/** Settings of a ReplicationManager. */
export interface ReplicationManagerOptions {
  /** How often, in milliseconds, the replicas are looked at: whether they answer and how far they are behind; 1000. */
  lagIntervalMs?: number;
  /** The functions that rows of rules pass through, by the names of the rules: for rules that are loaded from a file. */
  ruleTransforms?: Record<string, RowTransform>;
  /**
   * Brings the server of a PostgreSQL master of before back as a standby of the new one, once it answers again and every row that it
   * alone has was told by `rows.lost`; of replicas with `feed: 'auto'`. Without it, or when it fails, they are fed by this library.
   */
  rewind?: RewindCommand | RewindFunction;
}

/** The server that is to be rewound. */
export interface RewindRequest {
  project: string;
  /** The replica that was the master. */
  name: string;
  /** The replica that is the master now. */
  newMaster: string;
}

/** Stops a server, rewinds it (`pg_rewind`, a new base backup) and starts it as a standby; what it throws is told as a warning. */
export type RewindFunction = (request: RewindRequest) => void | Promise<void>;

/**
 * {@link RewindFunction} as a program, which is told by the variables `REPLICATOR_PROJECT`, `REPLICATOR_REPLICA` and
 * `REPLICATOR_NEW_MASTER`, and must exit with 0.
 */
export interface RewindCommand {
  /** The program; it is run without a shell. */
  command: string;
  args?: string[];
  /** After so many milliseconds it is killed; 600000. */
  timeoutMs?: number;
}

/** Whom a read is sent to. */
export interface ReadServiceOptions {
  /** A token of `lastWriteToken`: a replica is chosen that is known to have what was written before it. */
  after?: string;
}

/** How a replica is promoted. */
export interface PromotionOptions {
  /** Whether what the replica lacks may be lost. */
  force?: boolean;
}

/** When a dead master is replaced by a standby without anybody asking for it. */
export interface AutoFailover {
  /** Milliseconds without an answer; less than 1000 counts as 1000. */
  after: number;
}

/** The state of a replica. */
export interface ReplicaInfo {
  name: string;
  role: ReplicaRole;
  dialect: DialectName;
  status: 'connected' | 'disconnected' | 'error';
  /** Milliseconds behind its master, where that has been measured. */
  lag?: number;
  /** Bytes of the master's log that it lacks, where that has been measured. */
  lagBytes?: number;
  /** What was found to feed it, once that is known; of slaves. `none`: nothing that this library knows of. */
  feed?: Exclude<ReplicaFeed, 'auto'>;
  /** How many entities are registered on it. */
  schemasCount: number;
  /** Connections at the most. */
  poolMax: number;
  /** Why it cannot be used. */
  error?: string;
}

/** What is copied from which project to which. */
export interface ReplicationRule {
  name: string;
  /** The project read from. */
  source: string;
  /** The project written to. */
  target: string;
  mode: ReplicationMode;
  /** Entities or tables; `'*'` is every table of the source, looked up at each run. */
  collections: string[];
  /** `resolve`, of a bidirectional rule that streams: the version that the function given to `start` makes. */
  conflictResolution: ConflictResolution | 'resolve';
  enabled: boolean;
  /** How changes are learnt of, in mode `cdc`, and in mode `bidirectional` where it streams; left out for `auto`. */
  capture?: CaptureMethod;
  /** Milliseconds by which a poll reads back behind what it has seen, for rows that were committed late; 5000 when left out. */
  pollOverlapMs?: number;
  /** What becomes of a row that the target refuses, in mode `cdc`: it is set aside and tried again, or the rule stops. `dead-letter` when left out. */
  onRowError?: 'dead-letter' | 'stop';
  /** Bytes of log that the source may keep for the rule; beyond them the rule stops and gives its log up. No limit when left out. */
  maxRetainedBytes?: number;
  /** What becomes of fields of captured MongoDB documents that have no column at a SQL target: they are left out and counted in `conversions`, or kept together as JSON in the column `extra`. `report` when left out. */
  extraFields?: 'report' | 'column';
  /** Which columns are replicated, and under which names, by collection; of captured rows only. All of them when left out. */
  columns?: Record<string, ColumnRule>;
  /** Only rows for which the filter holds are carried, by collection; `'*'` stands for those that are not named. Not in mode `bidirectional`. */
  where?: Record<string, DalFilter>;
  /** The names of collections at the target; `'*'` stands for those that are not named, and in a name for the old one. Not in mode `bidirectional`. */
  rename?: Record<string, string>;
  /** A column of the target, part of its primary key, that gets the name of the source, so that several sources share a table. */
  sourceColumn?: string;
  /** What the primary keys of the source begin with at the target, where they are texts, so that several sources share a table. Takes the place of `sourceColumn`. */
  keyPrefix?: string;
  /** Whether rows pass through a function, which each process gives again. */
  transform?: boolean;
  /** Milliseconds that a row may take on its way through `transform`; one that takes longer is set aside. 10000 when left out. */
  transformTimeoutMs?: number;
}

/** A row on its way through the transform of a rule. */
export interface RowChange {
  rule: string;
  collection: string;
  /** `insert` for a row that the target is thought not to have, as in a first copy. */
  operation: 'insert' | 'update';
  /** Its primary key, which must stay as it is. */
  key: Record<string, unknown>;
  /** The row by the names of the source, with all of its columns. */
  row: Record<string, unknown>;
}

/**
 * Changes a row on its way: the row as the target is to have it, which may be the one given; `null` if the target is not to have it. What it throws
 * is told as the reason for which the row is set aside. It must come to the same for the same row, as rows are read again.
 */
export type RowTransform = (change: RowChange) => Record<string, unknown> | null | Promise<Record<string, unknown> | null>;

/** The columns of a collection that are replicated, and their names at the target; of documents, the fields. */
export interface ColumnRule {
  /** Only these. */
  include?: string[];
  /** Without these. */
  exclude?: string[];
  /** The names at the target, by those at the source. */
  rename?: Record<string, string>;
  /** Further columns of the target, which the rule's transform fills; text where they are made. */
  add?: string[];
}

/**
 * A rule as an application gives it; enabled, and `source-wins` (mode `bidirectional`: `timestamp`), when not said
 * otherwise.
 */
export type ReplicationRuleConfig = Omit<ReplicationRule, 'enabled' | 'conflictResolution' | 'where' | 'rename' | 'transform'> &
  Partial<Pick<ReplicationRule, 'enabled' | 'conflictResolution'>> & {
    /** Only rows for which this holds are carried: one filter for all collections, or one for each by its name. */
    where?: DalFilter | Record<string, DalFilter>;
    /** The names of collections at the target, or a function that is asked for each when the rule is added. */
    rename?: Record<string, string> | ((collection: string) => string);
    /** A function that rows pass through on their way; `true` if it is given by `ruleTransforms`. */
    transform?: RowTransform | boolean;
  };

/** A row that could not be written, or differs. */
export interface RowFailure {
  /** Its primary key, the parts joined by commas; empty when the whole collection failed. */
  key: string;
  reason: string;
}

/** A row that differed between both sides of a bidirectional rule. */
export interface RowConflict {
  /** Its primary key at the source, the parts joined by commas. */
  key: string;
  /** Whose version both sides were to have afterwards; `merged`: one that the application has made. */
  winner: 'source' | 'target' | 'merged';
  /** The fields that differed. */
  fields: string[];
}

/** What a run did to one collection. */
export interface CollectionStats {
  collection: string;
  /** Rows that the target lacked; in mode `bidirectional`, that one side lacked. */
  created: number;
  /** Rows that were overwritten, on either side. */
  updated: number;
  deleted: number;
  skipped: number;
  errors: number;
  /** The first 100 rows that could not be written. */
  failures: RowFailure[];
  /** Documented conversions that gave something up, counted per field. */
  conversions: { field: string; reason: string; rows: number }[];
  /** Rows that differed between both sides, in mode `bidirectional`. */
  conflicts: number;
  /** The first 100 of them. */
  conflictList: RowConflict[];
  /** The first 100 changes that were not applied, of those that mode `cdc` counts as skipped. */
  skips: RowFailure[];
}

/** {@link CollectionStats}, as applications of other versions call it. */
export type SyncCollectionStats = CollectionStats;

/** What a run of a rule did. */
export interface SyncStats {
  ruleName: string;
  /** When the run ended; null when there was none yet. */
  lastSync: Date | null;
  /** Rows created and updated. */
  recordsSynced: number;
  errors: number;
  /** Milliseconds. */
  duration: number;
  details: CollectionStats[];
}

/** Up to when each collection of a rule has been read; where changes are polled, from which `updatedAt` on the next run reads. */
export interface SyncCursor {
  ruleName: string;
  cursors: Record<string, Date>;
}

/** The file that `saveToFile` writes. */
export interface ReplicatorTreeFile {
  /** The replicas of each project by their names. */
  replicas: Record<string, Record<string, Omit<ReplicaConfig, 'name'>>>;
  /** The rules by their names. */
  rules: Record<string, Omit<ReplicationRule, 'name'>>;
  /** How each project chooses the slave for a read. */
  routing: Record<string, ReadRouting>;
}

/** How a tree file is written. */
export interface TreeFileOptions {
  /** What stands in place of a URI's password: `***`, or a reference to a variable for the whole URI; `mask` when not given. */
  secrets?: 'mask' | 'env';
}

/** How far the copy of a collection has come. */
export interface SyncProgress {
  rule: string;
  collection: string;
  rows: number;
  /** How many rows the source is thought to hold, where it can tell. */
  estimate?: number;
  done: boolean;
}

/** How source and target are compared. */
export interface VerifyOptions {
  /** `rows`: those that differ or are missing are copied once more. `rows-and-extras`: and rows that only the target has are deleted. */
  repair?: 'none' | 'rows' | 'rows-and-extras';
}

/** The comparison of source and target of a rule. */
export interface SyncVerdict {
  ruleName: string;
  /** Whether every row of the source stands unchanged at the target, and no other row does; of rows that were repaired, how they were found. */
  equal: boolean;
  collections: {
    collection: string;
    rows: number;
    equal: number;
    different: number;
    missing: number;
    extra: number;
    /** Rows that were repaired. */
    repaired: number;
    /** Every row that is not equal, up to 100,000 of them. */
    failures: RowFailure[];
  }[];
}

/** Rows of a rule that its target refused and that are set aside there. Their values stay in the database. */
export interface DeadLetters {
  /** How many there are. */
  count: number;
  /** Some of them. */
  rows: {
    collection: string;
    /** The primary key at the source, the parts joined by commas. */
    key: string;
    operation: 'insert' | 'update' | 'delete';
    /** Why the target refused it. */
    error: string;
    attempts: number;
    firstAt: Date;
    lastAt: Date;
  }[];
}

/** How many rows that are set aside are named. */
export interface DeadLetterOptions {
  /** 100 when not given. */
  most?: number;
}

/** Where a ReplicationManager looks up projects and their schemas; a ProjectManager is one. */
export interface ProjectSource {
  hasProject(name: string): boolean;
  getProject(name: string): { schemas?: readonly EntityDeclaration[] } | undefined;
}

/** The events of a ReplicationManager. */
export interface ReplicationEvents {
  'replica.added': [{ project: string; name: string; role: ReplicaRole }];
  'replica.removed': [{ project: string; name: string }];
  'replica.promoted': [{ project: string; name: string }];
  /** A replica went away, came back, or became too far behind, or near enough, to serve reads. */
  'replica.state': [
    {
      project: string;
      name: string;
      state: 'up' | 'down';
      status: ReplicaInfo['status'];
      /** Whether it is too far behind to serve reads. */
      stale: boolean;
      lag?: number;
      error?: string;
    },
  ];
  /** It was found out what feeds a slave. `warning`: why nothing does, or what does not come along. */
  'replica.feed': [{ project: string; name: string; feed: 'native' | 'managed' | 'none'; warning?: string }];
  /**
   * Rows of a master of before that the present one does not have, or has with other values; they are given up. Rows that were
   * changed at the present master before the old one was back are among them.
   */
  'rows.lost': [{ project: string; name: string; collection: string; count: number; keys: string[] }];
  /** Where failover is on: this process has come to reach a majority of the replicas, or does not any more and refuses writes. */
  quorum: [{ project: string; hasMajority: boolean; reachable: number; replicas: number }];
  /** A dead master was replaced. `missingBytes`: what the new one is known to lack, where that can be told. */
  failover: [{ project: string; newMaster: string; oldMaster: string; missingBytes?: number }];
  /** A dead master could not be replaced; told once while it is dead. */
  'failover.refused': [{ project: string; master: string; reason: string }];
  'rule.added': [{ rule: string }];
  'rule.removed': [{ rule: string }];
  'rule.sync.start': [{ rule: string }];
  'rule.sync.progress': [SyncProgress];
  'rule.sync.done': [SyncStats];
  /** A rule that was started has come into another state. */
  state: [StateReport];
  /** A rule that was started has applied transactions. */
  batch: [BatchReport];
  /** How far a rule that was started is behind; every second. */
  lag: [LagReport];
  /** A rule that was started has applied a change; one event for each. */
  change: [ChangeNotice];
  /** A row had changed on both sides of a bidirectional rule that was started. */
  conflict: [ConflictNotice];
  /** What a rule that was started met with, or what a listener of another event threw. */
  error: [error: unknown];
}
