// What the native engine tells: figures, health, events, and what is spread over shards; and what a shared cache must do for it.
import type { EvictionReason } from './cache/cache-provider.js';

/** A pinned connection. */
export interface SessionInfo {
  readonly id: number;
  readonly cluster: string;
  /** The pool's id. */
  readonly server: string;
  readonly processId: number;
}

/** What a pinned connection brings unasked. */
export type SessionNews =
  | { readonly event: 'notification'; readonly channel: string; readonly payload: string; readonly processId: number }
  | { readonly event: 'lost'; readonly reason: string };

/** What the engine tells of one server. */
export interface ServerFigures {
  readonly id: string;
  /** Whether it takes the cluster's writes. */
  readonly isPrimary: boolean;
  readonly isUp: boolean;
  readonly active: number;
  readonly idle: number;
  readonly connecting: number;
  readonly max: number;
  readonly created: number;
  readonly destroyed: number;
  readonly waiting: number;
  readonly running: number;
  readonly responseTime: number | null;
  readonly errorRate: number;
  readonly lastError: string | null;
}

/** How long the queries took that succeeded, in milliseconds. */
export interface LatencyFigures {
  /** The upper bounds of the buckets. */
  readonly bounds: readonly number[];
  /** How many took at most so long and longer than the bound before; those over all bounds at last. */
  readonly counts: readonly number[];
  /** All of them together. */
  readonly total: number;
}

/** What the engine has counted for one cluster. */
export interface ClusterFigures {
  readonly id: string;
  readonly reads: number;
  readonly writes: number;
  readonly errors: number;
  /** Queries answered from the cache. */
  readonly cacheHits: number;
  /** Queries that might have been, and ran. */
  readonly cacheMisses: number;
  /** Whether the cache follows the log of the primary at this moment. */
  readonly followsLog: boolean;
  /** Milliseconds that all queries took together. */
  readonly totalDuration: number;
  readonly readLatency: LatencyFigures;
  readonly writeLatency: LatencyFigures;
  /** Checks in a row that found no server that takes writes. */
  readonly failures: number;
  readonly isDown: boolean;
  /** The configured primary, then the replicas. */
  readonly servers: readonly ServerFigures[];
}

/** What the engine tells of its cache. */
export interface CacheFigures {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly itemCount: number;
  /** Bytes. */
  readonly totalSize: number;
  /** Bytes of all rows without compression. */
  readonly rawBytes: number;
  /** Bytes of all rows as they are kept. */
  readonly storedBytes: number;
}

/** Is told of an entry that has left the cache. */
export type EvictionWatch = (key: string, reason: EvictionReason) => void;

/** Is told of a cluster whose log the cache follows, or why it does not. */
export type LogWatch = (clusterId: string, lost: string | undefined) => void;

/** What is spread over the shards of a cluster. */
export interface ShardSurvey {
  /** The clusters that are its shards, by their numbers. */
  readonly shards: readonly string[];
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    /** The column that is the shard key. */
    readonly key: string;
    /** An expression of SQL for the number of the shard on which a row belongs. */
    readonly shardSql: string | null;
    /** Why there is none. */
    readonly problem: string | null;
  }[];
}

/** What a health check found about one server. */
export interface ServerSign {
  readonly cluster: string;
  readonly server: string;
  readonly isPrimary: boolean;
  /** Milliseconds. */
  readonly responseTime: number;
  /** A failure as JSON; `null` if the server answers. */
  readonly error: string | null;
}

/** What the engine tells of its clusters by itself. */
export type ClusterEvent =
  | { readonly event: 'checked'; readonly health: readonly ServerSign[] }
  | { readonly event: 'down'; readonly cluster: string; readonly reason: string; readonly health: readonly ServerSign[] }
  /** Milliseconds that the cluster was down. */
  | { readonly event: 'recovered'; readonly cluster: string; readonly downtime: number; readonly health: readonly ServerSign[] }
  | { readonly event: 'failover'; readonly cluster: string; readonly newPrimary: string; readonly oldPrimary: string }
  /** What is prepared there cannot be ended by the role that is used. */
  | { readonly event: 'left'; readonly cluster: string; readonly problem: string };
/** What is dropped from the cache. */
export interface NativeCriteria {
  readonly schema?: string;
  readonly tags?: readonly string[];
  readonly cluster?: string;
  readonly keys?: readonly string[];
  readonly digests?: readonly string[];
}

/** A result that is on its way, as the native core numbers it. */
export interface RemoteFlight {
  readonly low: number;
  readonly high: number;
  readonly name: string;
}

/** A cache that other processes share. */
export interface RemoteCache {
  /** A result is looked for; what is it is told as JSON. Must be answered by `answerRemote`. */
  look(flight: RemoteFlight, question: string): void;
  /** The result was fetched meanwhile; or there is none to be kept. The bytes are the cache's own. */
  finish(flight: RemoteFlight, entry: string | undefined, bytes: Buffer): void;
  /** Everything of these scopes is to be dropped, for all processes. */
  drop(scopes: readonly string[]): void;
}
