// PgMultiverse: many PostgreSQL clusters behind one query.
export type * from './config-types.js';
export { ClusterConfigManager, type ClusterConfigManagerEvents } from './cluster-config-manager.js';
export { ClusterManager, type ClusterManagerEvents, type ClusterState } from './cluster-manager.js';
export { ConnectionPool, type ConnectionPoolEvents, type ConnectionPoolMetrics, type ServerPoolConfig } from './connection-pool.js';
export { DatabaseError } from './failures.js';
export type { ClusterHealth, ClusterMetrics, SystemMetrics } from './metrics.js';
export * from './migrations/index.js';
export { type MultiClusterConfig, type MultiClusterEvents, PgMultiverse } from './pg-multiverse.js';
export { type ClientQueryOptions, PooledClient } from './pooled-client.js';
export { QueryStream } from './query-stream.js';
export * from './transactions/index.js';
export { isClusterConfig, isDatabaseConnection, isQueryResult } from './type-guards.js';
export type * from './types.js';
export { setTypeParser, type TypeParser, type TypeParsers, types, ValueParsers } from './value-parsers.js';
export { VERSION } from './version.js';
