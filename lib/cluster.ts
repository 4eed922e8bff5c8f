// Clusters of PostgreSQL servers: what runs queries on them, and one pool alone.
export { ReplicaverseError } from './errors.js';
export { ClusterManager, type ClusterManagerEvents, type ClusterState } from './pg-multiverse/cluster-manager.js';
export { ConnectionPool, type ConnectionPoolEvents, type ConnectionPoolMetrics, type ServerPoolConfig } from './pg-multiverse/connection-pool.js';
