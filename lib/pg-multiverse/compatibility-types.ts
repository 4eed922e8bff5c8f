// Types that applications of pg-multiverse name, and that no call here takes or gives.
import type { DatabaseConnection, LoadBalancingStrategy } from './config-types.js';
import type { PooledClient } from './pooled-client.js';
import type { TransactionOptions } from './transactions/index.js';
import type { QueryOptions, QueryParam } from './types.js';

/** A statement as an application keeps it for later. */
export interface PreparedQuery {
  sql: string;
  params: QueryParam[];
  options: QueryOptions;
}

/** A transaction as an application keeps track of it. */
export interface DistributedTransactionState {
  id: string;
  schemas: string[];
  /** The ids of the clusters that have a part in it. */
  clusters: Set<string>;
  state: 'preparing' | 'prepared' | 'committing' | 'committed' | 'aborting' | 'aborted';
  /** The connections, by the ids of their clusters. */
  connections: Map<string, PooledClient>;
  startedAt: Date;
  options: TransactionOptions;
}

/** A server among which load is balanced. */
export interface LoadBalancerNode {
  id: string;
  connection: DatabaseConnection;
  weight: number;
  currentConnections: number;
  /** Milliseconds. */
  responseTime: number;
  healthy: boolean;
  lastHealthCheck: Date;
  totalRequests: number;
  errorCount: number;
}

/** Figures of balanced servers. */
export interface LoadBalancerStats {
  strategy: LoadBalancingStrategy;
  nodes: LoadBalancerNode[];
  totalRequests: number;
  totalErrors: number;
  /** Milliseconds. */
  avgResponseTime: number;
  /** Requests, by the ids of the servers. */
  distribution: Record<string, number>;
}

/** How a try to connect has ended. */
export interface ConnectionTestResult {
  success: boolean;
  /** Milliseconds. */
  responseTime: number;
  error?: string;
  timestamp: Date;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- listeners of any arguments are functions of these
type Listener = (...args: any[]) => void;

/** An emitter whose events have listeners of known arguments. */
export interface TypedEventEmitter<T extends Record<string, Listener>> {
  on<K extends keyof T>(event: K, listener: T[K]): this;
  once<K extends keyof T>(event: K, listener: T[K]): this;
  off<K extends keyof T>(event: K, listener: T[K]): this;
  emit<K extends keyof T>(event: K, ...args: Parameters<T[K]>): boolean;
  removeAllListeners<K extends keyof T>(event?: K): this;
  listeners<K extends keyof T>(event: K): T[K][];
  listenerCount<K extends keyof T>(event: K): number;
}
