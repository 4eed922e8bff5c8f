// Figures and health, in the form in which applications of pg-multiverse read them.
import type { ClusterFigures, ServerFigures, ServerSign } from './engine-client.js';
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
    /** Milliseconds, waiting for a connection included. */
    avgResponseTime: number;
    errors: number;
  };
  connections: { active: number; idle: number; max: number; created: number; destroyed: number };
  cache: { hits: number; misses: number; hitRate: number };
  /** Seconds since the instance was initialized. */
  uptime: number;
  lastUpdated: Date;
}

/** The figures of all clusters. */
export interface SystemMetrics {
  clusters: Record<string, ClusterMetrics>;
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

function totalOf({ reads, writes, errors }: ClusterFigures): number {
  return reads + writes + errors;
}

/** The figures of all clusters. */
export function systemMetrics(figures: readonly ClusterFigures[], uptime: number): SystemMetrics {
  const lastUpdated = new Date();
  const clusters = figures.map((cluster): [string, ClusterMetrics] => [
    cluster.id,
    {
      clusterId: cluster.id,
      queries: {
        total: totalOf(cluster),
        reads: cluster.reads,
        writes: cluster.writes,
        cached: 0,
        avgResponseTime: ratio(cluster.totalDuration, totalOf(cluster)),
        errors: cluster.errors,
      },
      connections: connectionsOf(cluster),
      cache: { hits: 0, misses: 0, hitRate: 0 },
      uptime,
      lastUpdated,
    },
  ]);
  const sum = (figure: (cluster: ClusterFigures) => number) => figures.reduce((total, cluster) => total + figure(cluster), 0);
  const totalQueries = sum(totalOf);
  return {
    clusters: Object.fromEntries(clusters),
    uptime,
    totalQueries,
    avgResponseTime: ratio(
      sum((cluster) => cluster.totalDuration),
      totalQueries,
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
    queries: { total, successful: total - figures.errors, failed: figures.errors, avgResponseTime: ratio(figures.totalDuration, total) },
    ...(failures.length === 0 ? {} : { error: failures.join('; ') }),
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
