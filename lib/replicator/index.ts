// Replication: replicas, routing and rules.
export type { CDCEvent, CDCOperation } from './cdc-events.js';
export { CDCListener, type CDCListenerConfig, type CDCSource, type CDCStats, type CDCStats as CDCFlushStats } from './cdc-listener.js';
export { ReplicaService } from './replica-service.js';
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
export { runReplicatorService, type ReplicatorServiceOptions } from './service.js';
export { scaffoldReplicatorService, type ScaffoldOptions, type ScaffoldResult } from './scaffold.js';
export type { SyncService } from './synced-entity.js';
export type { TreeConnection } from './tree-connecting.js';
export type {
  BatchReport,
  ChangeNotice,
  ChangeOperation,
  ChangesOptions,
  ConflictNotice,
  LagReport,
  ResolveConflict,
  RowVersions,
  RuleState,
  RuleStreamState,
  SourceChange,
  StartOptions,
  StateReport,
} from './stream-types.js';
export type {
  AutoFailover,
  CaptureMethod,
  CollectionStats,
  ColumnRule,
  ConflictResolution,
  DeadLetterOptions,
  DeadLetters,
  ProjectSource,
  PromotionOptions,
  ReadRouting,
  ReadRoutingStrategy,
  ReadServiceOptions,
  ReplicaConfig,
  ReplicaFeed,
  ReplicaInfo,
  ReplicaRole,
  ReplicationEvents,
  ReplicationManagerOptions,
  ReplicationMode,
  ReplicationRule,
  ReplicationRuleConfig,
  ReplicatorTreeFile,
  RowChange,
  RowConflict,
  RowFailure,
  RewindCommand,
  RewindFunction,
  RewindRequest,
  RowTransform,
  SyncCollectionStats,
  SyncCursor,
  SyncProgress,
  SyncStats,
  SyncVerdict,
  TreeFileOptions,
  VerifyOptions,
} from './types.js';
