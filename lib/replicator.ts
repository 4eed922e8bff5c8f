// The replicator surface: replicas, read routing and replication rules.
export { ReplicaverseError } from './errors.js';
export * from './replicator/index.js';
