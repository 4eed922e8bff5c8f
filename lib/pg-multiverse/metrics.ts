// Figures and health, in the form in which applications of pg-multiverse read them.
import type { CacheFigures, ClusterFigures, LatencyFigures, ServerFigures, ServerSign } from './engine-reports.js';
import { errorOfFailure } from './failures.js';
import type { TransactionMetrics } from './transactions/types.js';

/** The figures of a cluster. */
export interface ClusterMetrics {
  clusterId: string;
  queries: {
    total: number;
    reads: number;
    writes: number;
    /** Answered from the cache. */
    cached: number;
    /** Milliseconds of those that were not cached, waiting for a connection included. */
    avgResponseTime: number;
    errors: number;
  };
  connections: { active: number; idle: number; max: number; created: number; destroyed: number };
  /** `followsLog`: whether what a commit touches is dropped at this moment, with `invalidate: 'wal'`. */
  cache: { hits: number; misses: number; hitRate: number; followsLog: boolean };
  /** How long the queries took that succeeded, waiting for a connection included. */
  latency: { reads: LatencyHistogram; writes: LatencyHistogram };
  /** Seconds since the instance was initialized. */
  uptime: number;
  lastUpdated: Date;
}

/** How many queries took how long. */
export interface LatencyHistogram {
  /** The upper bounds of the buckets in milliseconds, and how many queries were in each: longer than the bound before. */
  buckets: { upTo: number; count: number }[];
  count: number;
  /** Milliseconds of all queries together. */
  sum: number;
}

/** The figures of the cache. */
export interface CacheMetrics {
  hits: number;
  misses: number;
  /** Hits among all, from 0 to 1. */
  hitRate: number;
  /** Bytes. */
  totalSize: number;
  itemCount: number;
  /** Entries that had to go because of their time or for want of room. */
  evictions: number;
  /** How many times as large the rows would be without compression. */
  compressionRatio: number;
}

/** The figures of all clusters. */
export interface SystemMetrics {
  clusters: Record<string, ClusterMetrics>;
  /** Without a cache there are none. */
  cache?: CacheMetrics;
  /** Seconds since the instance was initialized. */
  uptime: number;
  totalQueries: number;
  /** Milliseconds. */
  avgResponseTime: number;
  /** Of all queries, the percentage that failed. */
  errorRate: number;
  /** Where there are transactions. */
  transactions?: TransactionMetrics;
}

/** The health of a cluster. */
export interface ClusterHealth {
  clusterId: string;
  /** Whether every server answers. */
  healthy: boolean;
  lastCheck: Date;
  /** Milliseconds that the slowest server took. */
  responseTime: number;
  /** Checks in a row that failed. */
  failureCount: number;
  /** Seconds since the instance was initialized. */
  uptime: number;
  connections: { active: number; idle: number; total: number };
  queries: { total: number; successful: number; failed: number; avgResponseTime: number };
  /** Which servers do not answer, and why. */
  error?: string;
}

/** The connections of all servers of a cluster together. */
function connectionsOf({ servers }: ClusterFigures): ClusterMetrics['connections'] {
  const sum = (figure: (server: ServerFigures) => number) => servers.reduce((total, server) => total + figure(server), 0);
  return {
    active: sum((server) => server.active),
    idle: sum((server) => server.idle),
    max: sum((server) => server.max),
    created: sum((server) => server.created),
    destroyed: sum((server) => server.destroyed),
  };
}

/** A histogram in the form of the figures; what took longer than all bounds is in the bucket up to infinity. */
function histogramOf({ bounds, counts, total }: LatencyFigures): LatencyHistogram {
  return {
    buckets: counts.map((count, at) => ({ upTo: bounds[at] ?? Infinity, count })),
    count: counts.reduce((sum, count) => sum + count, 0),
    sum: total,
  };
}

function totalOf({ reads, writes, errors, cacheHits }: ClusterFigures): number {
  return reads + writes + errors + cacheHits;
}

/** Those that servers had to answer. */
function servedOf({ reads, writes, errors }: ClusterFigures): number {
  return reads + writes + errors;
}

function cacheMetrics({ hits, misses, itemCount, totalSize, evictions, rawBytes, storedBytes }: CacheFigures): CacheMetrics {
  const compressionRatio = storedBytes === 0 ? 1 : rawBytes / storedBytes;
  return { hits, misses, hitRate: ratio(hits, hits + misses), totalSize, itemCount, evictions, compressionRatio };
}

/** The figures of all clusters. */
export function systemMetrics(figures: readonly ClusterFigures[], uptime: number, cache: CacheFigures | null = null): SystemMetrics {
  const lastUpdated = new Date();
  const clusters = figures.map((cluster): [string, ClusterMetrics] => [
    cluster.id,
    {
      clusterId: cluster.id,
      queries: {
        total: totalOf(cluster),
        reads: cluster.reads,
        writes: cluster.writes,
        cached: cluster.cacheHits,
        avgResponseTime: ratio(cluster.totalDuration, servedOf(cluster)),
        errors: cluster.errors,
      },
      connections: connectionsOf(cluster),
      cache: { hits: cluster.cacheHits, misses: cluster.cacheMisses, hitRate: ratio(cluster.cacheHits, cluster.cacheHits + cluster.cacheMisses), followsLog: cluster.followsLog },
      latency: { reads: histogramOf(cluster.readLatency), writes: histogramOf(cluster.writeLatency) },
      uptime,
      lastUpdated,
    },
  ]);
  const sum = (figure: (cluster: ClusterFigures) => number) => figures.reduce((total, cluster) => total + figure(cluster), 0);
  const totalQueries = sum(totalOf);
  return {
    clusters: Object.fromEntries(clusters),
    ...(cache === null ? {} : { cache: cacheMetrics(cache) }),
    uptime,
    totalQueries,
    avgResponseTime: ratio(
      sum((cluster) => cluster.totalDuration),
      sum(servedOf),
    ),
    errorRate: 100 * ratio(
      sum((cluster) => cluster.errors),
      totalQueries,
    ),
  };
}

/** The health of a cluster after a check. */
export function clusterHealth(figures: ClusterFigures, signs: readonly ServerSign[], failureCount: number, uptime: number): ClusterHealth {
  const failures = signs.flatMap(({ server, error }) => (error === null ? [] : [`${server}: ${errorOfFailure(error).message}`]));
  const { active, idle } = connectionsOf(figures);
  const total = totalOf(figures);
  return {
    clusterId: figures.id,
    healthy: failures.length === 0,
    lastCheck: new Date(),
    responseTime: Math.max(0, ...signs.map((sign) => sign.responseTime)),
    failureCount,
    uptime,
    connections: { active, idle, total: active + idle },
    queries: { total, successful: total - figures.errors, failed: figures.errors, avgResponseTime: ratio(figures.totalDuration, servedOf(figures)) },
    ...(failures.length === 0 ? {} : { error: failures.join('; ') }),
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
