// Replication: replicas, routing and rules.
export { ReplicationManager } from './replication-manager.js';
export type {
  CollectionStats,
  ConflictResolution,
  ProjectSource,
  ReadRouting,
  ReplicaConfig,
  ReplicaInfo,
  ReplicaRole,
  ReplicationEvents,
  ReplicationMode,
  ReplicationRule,
  ReplicationRuleConfig,
  RowFailure,
  SyncCursor,
  SyncProgress,
  SyncStats,
  SyncVerdict,
} from './types.js';
