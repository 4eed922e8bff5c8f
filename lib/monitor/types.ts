// What the dashboard watches, what it tells, and how it is started.
import type { MonitoredClusters } from '../pg-multiverse/cluster-figures.js';
import type { DeadLetterOptions, DeadLetters, PromotionOptions, SyncStats, SyncVerdict, VerifyOptions } from '../replicator/types.js';

/** How a replica is, as the dashboard shows it. */
export type ReplicaState = 'up' | 'down' | 'connecting' | 'unknown';

/** A replica as a manager tells of it: at least its name and its role. */
export interface MonitoredReplica {
  name: string;
  role: 'master' | 'slave';
  dialect?: string;
  status?: 'connected' | 'disconnected' | 'error';
  state?: ReplicaState;
  /** Milliseconds behind the master. */
  lag?: number | null;
  /** Bytes of the master's log that it lacks. */
  lagBytes?: number;
  /** What feeds it, where that is known. */
  feed?: string;
  poolMax?: number;
  error?: string;
}

/** A rule as a manager tells of it. */
export interface MonitoredRule {
  name: string;
  source: string;
  target: string;
  mode: string;
  collections: string[];
  conflictResolution: string;
  enabled: boolean;
}

/** How a rule that was started stands. */
export interface RuleProgress {
  rule: string;
  state: string;
  /** Milliseconds behind, once that has been measured. */
  lag?: number;
  /** Bytes of its log that the source keeps for the rule, once that has been measured. */
  retainedBytes?: number;
}

/** What the last run of a rule did. */
export interface RuleRun {
  inserted: number;
  updated: number;
  deleted: number;
  failed: number;
  durationMs: number;
  /** Milliseconds since 1970. */
  lastRun?: number;
}

/**
 * What the dashboard needs of a manager: a ReplicationManager has it, and so has what `readTreeManager` gives. Of one that is an
 * EventEmitter the events are heard too.
 */
export interface MonitoredManager {
  listProjects?(): string[];
  getReplicaStatus(project: string): readonly MonitoredReplica[];
  getReadRouting?(project: string): string;
  listRules(): readonly MonitoredRule[];
  getSyncStats?(rule: string): SyncStats | Partial<RuleRun> | undefined;
  getRuleStates?(): readonly RuleProgress[];
  getDeadLetters?(rule: string, options?: DeadLetterOptions): Promise<DeadLetters>;
  /** Figures of its own in the text format of Prometheus, which stand beside those of replicas and rules. */
  metricsText?(): string;
  /** Called by the action that runs a rule, which needs a token, as every action does. */
  sync?(rule: string): Promise<unknown>;
  /** Called by the action that copies a rule anew. */
  resync?(rule: string): Promise<unknown>;
  /** Called by the action that streams a rule. */
  start?(rule: string): Promise<void>;
  /** Called by the action that ends a stream, where there is a `start`. */
  stop?(rule: string): Promise<void> | void;
  /** Called by the action that compares both ends of a rule. */
  verify?(rule: string, options?: VerifyOptions): Promise<SyncVerdict>;
  /** Called by the action that promotes a replica. */
  promoteToMaster?(project: string, name: string, options?: PromotionOptions): Promise<void>;
}

/** Something that happened, with the moment in milliseconds since 1970. */
export type ActivityEvent = { ts: number } & (
  | { type: 'replica.added'; project: string; replica: string; role: string }
  | { type: 'replica.removed'; project: string; replica: string }
  | { type: 'replica.promoted'; project: string; replica: string }
  | { type: 'replica.state'; project: string; replica: string; state: ReplicaState; lag?: number }
  | { type: 'replica.feed'; project: string; name: string; feed: string; warning?: string }
  | { type: 'rows.lost'; project: string; name: string; collection: string; count: number }
  | { type: 'quorum'; project: string; hasMajority: boolean; reachable: number; replicas: number }
  | { type: 'failover'; project: string; newMaster: string; oldMaster: string; missingBytes?: number }
  | { type: 'failover.refused'; project: string; master: string; reason: string }
  | { type: 'rule.added'; rule: string }
  | { type: 'rule.removed'; rule: string }
  | { type: 'rule.sync.start'; rule: string }
  | { type: 'rule.sync.done'; rule: string; stats: RuleRun }
  | { type: 'rule.state'; rule: string; state: string; reason?: string }
  | { type: 'rule.verified'; rule: string; equal: boolean; different: number; missing: number; extra: number }
  | { type: 'error'; message: string; context?: string }
);

/** How the dashboard is started. */
export interface MonitorConfig {
  /** A `ReplicationManager`, what `readTreeManager` gives, or a `PgMultiverse`, whose clusters are shown as projects without rules. */
  manager: MonitoredManager | MonitoredClusters;
  /** 14499; 0 for any that is free. */
  port?: number;
  /** `127.0.0.1`. Another than this machine's own needs a token. */
  host?: string;
  /** What every request must bring, as `Authorization: Bearer` or as `?token=`. */
  authToken?: string;
  /** Milliseconds between two looks at the manager; 2000. */
  pollMs?: number;
  /** How many events are kept; 200. */
  activityBufferSize?: number;
  /** Called for each event. What it throws, or rejects with, becomes an event `error`, which it is not told itself. */
  onEvent?: (event: ActivityEvent) => unknown;
}

/** A dashboard that runs. */
export interface MonitorHandle {
  /** Where it is, without the token. */
  url: string;
  /** Ends it; open streams are closed. Calling it again does nothing. */
  stop(): Promise<void>;
}
