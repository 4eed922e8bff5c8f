// The types of configurations: of an instance, its clusters and their servers.
import type { ConsistencyLevel, ReadPreference, ValueOptions } from './types.js';

/** How the connection to a server is encrypted. */
export interface SSLConfig {
  /** The certificate of the authority that signed the server's, as PEM text. */
  ca?: string;
  /** The client's own certificate, as PEM text. */
  cert?: string;
  /** The key of the client's certificate, as PEM text. */
  key?: string;
  /** Whether a certificate that cannot be verified is refused; it is by default. */
  rejectUnauthorized?: boolean;
  /** The name that the server's certificate must have, its host by default. */
  servername?: string;
}

/** How one server is reached. */
export interface DatabaseConnection {
  host: string;
  port: number;
  database: string;
  user: string;
  /** An empty string where the server asks for none. */
  password: string;
  ssl?: boolean | SSLConfig;
  maxConnections?: number;
  minConnections?: number;
  /** How long opening a connection may take. */
  connectionTimeoutMillis?: number;
  /** After how long an unused connection is closed. */
  idleTimeoutMillis?: number;
  /** Where names without a schema are looked up. */
  searchPath?: string | readonly string[];
  /** The server's share of the reads under weighted balancing, 1 by default. */
  weight?: number;
}

/** A range of keys that a shard holds: from `min` up to but without `max`. Its position in the list is the shard. */
export interface RangePartition {
  min: string | number;
  max: string | number;
}

/** The servers of a shard. */
export interface ShardServers {
  primary: DatabaseConnection;
  replicas?: DatabaseConnection[];
}

/** How rows are spread over shards. */
export interface ShardingConfig {
  /** `false` switches it off. */
  enabled?: boolean;
  strategy: 'hash' | 'range' | 'directory';
  /** The column that decides on the shard. */
  key: string;
  /** Of `hash`: the number of shards. */
  partitions?: number;
  /** Of `range`: the values of each shard. */
  ranges?: RangePartition[];
  /** Of `directory`: the shard of each value. */
  directory?: Record<string, number>;
  /**
   * The servers of each shard. Without them, the cluster's replicas are the shards; the primary is shard 0 where there is one replica
   * too few.
   */
  shards?: ShardServers[];
}

/** How a replica is chosen among several. */
export type LoadBalancingStrategy = 'round_robin' | 'weighted' | 'least_connections' | 'response_time' | 'health_aware';

/** How reads are spread over replicas. */
export interface LoadBalancingConfig {
  strategy: LoadBalancingStrategy;
  /** By `replica_1`, `replica_2`, … or pool id. */
  weights?: Record<string, number>;
  /** The health score, from 0 to 100, under which a server is left out. */
  healthThreshold?: number;
}

/** The pool of each server. */
export interface ConnectionPoolConfig {
  /** 2 by default. */
  min?: number;
  /** 20 by default. */
  max?: number;
  acquireTimeoutMillis?: number;
  createTimeoutMillis?: number;
  idleTimeoutMillis?: number;
  /** After how long a connection is replaced. */
  maxLifetimeMillis?: number;
  warmupConnections?: boolean;
  /** `false` prepares no statements by name, as some poolers between here and the server demand. */
  prepare?: boolean;
}

/** A primary, its replicas, and what they are for. */
export interface ClusterConfig {
  id: string;
  schemas: string[];
  /** Left out only where `sharding.shards` names the servers. */
  primary: DatabaseConnection;
  replicas?: DatabaseConnection[];
  readPreference?: ReadPreference;
  consistencyLevel?: ConsistencyLevel;
  sharding?: ShardingConfig;
  loadBalancing?: LoadBalancingConfig;
  connectionPool?: ConnectionPoolConfig;
  /** Clusters with a higher number are preferred where several would do. */
  priority?: number;
  /** Options of schemas, by name. */
  schemaOptions?: Record<string, SchemaOptions>;
}

/** Clusters by id; their order counts. */
export type ClustersConfig = Record<string, Omit<ClusterConfig, 'id' | 'schemas' | 'primary'> & { id?: string; schemas?: string[]; primary?: DatabaseConnection }>;

/** Whether reads of a schema are cached. */
export type CacheStrategy = 'aggressive' | 'conservative' | 'none';

/** What is special about a schema. */
export interface SchemaOptions {
  /** The column that decides on the shard. */
  shardKey?: string;
  cacheStrategy?: CacheStrategy;
  /** The cluster is preferred for the schema to those with a lower number. */
  priority?: number;
  /** Which servers answer reads, in place of the cluster's setting. */
  readPreference?: ReadPreference;
  /** How fresh reads must be, in place of the cluster's setting. */
  consistencyLevel?: ConsistencyLevel;
}

/** A schema and the cluster it lives on. */
export interface SchemaMapping extends SchemaOptions {
  clusterId: string;
}

/** What concerns all clusters of an instance. */
export interface ClusterManagerConfig extends ValueOptions {
  /** Milliseconds between health checks, 30000 by default. */
  healthCheckInterval?: number;
  /** How often what is safe to repeat is tried again, 3 by default. */
  retryAttempts?: number;
  /** Milliseconds before it is tried again, 1000 by default. */
  retryDelay?: number;
  /** Failed checks in a row after which a cluster counts as down, 3 by default. */
  maxFailuresBeforeMarkDown?: number;
  /** Milliseconds between checks of a cluster that is down, 60000 by default. */
  recoveryCheckInterval?: number;
  /** The name of the sessions in `pg_stat_activity`. */
  applicationName?: string;
}

/** What is wrong with a configuration, and what is doubtful. */
export interface ValidationResult {
  valid: boolean;
  errors: string[];
  warnings: string[];
}
