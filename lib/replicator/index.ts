// Replication: replicas, routing and rules.
export type { CDCEvent, CDCOperation } from './cdc-events.js';
export { CDCListener, type CDCListenerConfig, type CDCSource, type CDCStats, type CDCStats as CDCFlushStats } from './cdc-listener.js';
export { ReplicationManager } from './replication-manager.js';
export { type CompatReport, type ManyToManyRelation, SchemaMapper } from './schema-mapper.js';
export type { CompatIssue, CompatSeverity } from './schema-mapper-fields.js';
export {
  type IncrementalCursor,
  type IncrementalOutcome,
  SyncEngine,
  type SyncEngineOptions,
  type SyncRule,
} from './sync-engine.js';
export type { EngineStats, EntitySyncStats, SyncConflict } from './sync-stats.js';
export type { SyncService } from './synced-entity.js';
export type {
  BatchReport,
  ChangeNotice,
  ChangeOperation,
  ChangesOptions,
  LagReport,
  RuleState,
  RuleStreamState,
  SourceChange,
  StateReport,
} from './stream-types.js';
export type {
  CaptureMethod,
  CollectionStats,
  ConflictResolution,
  ProjectSource,
  ReadRouting,
  ReadRoutingStrategy,
  ReplicaConfig,
  ReplicaInfo,
  ReplicaRole,
  ReplicationEvents,
  ReplicationMode,
  ReplicationRule,
  ReplicationRuleConfig,
  ReplicatorTreeFile,
  RowConflict,
  RowFailure,
  SyncCollectionStats,
  SyncCursor,
  SyncProgress,
  SyncStats,
  SyncVerdict,
  VerifyOptions,
} from './types.js';
