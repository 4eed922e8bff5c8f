// The figures of all clusters in the text format of Prometheus.
import { familyText, type Sample } from '../prometheus-text.js';
import type { CacheFigures, ClusterFigures, LatencyFigures, ServerFigures } from './engine-reports.js';
import type { TransactionMetrics } from './transactions/types.js';

/** Figures that are not there in every instance. */
export interface MoreFigures {
  readonly cache?: CacheFigures | null;
  readonly transactions?: TransactionMetrics;
}

/** The text; `uptime` is in seconds. */
export function metricsText(figures: readonly ClusterFigures[], uptime: number, { cache, transactions }: MoreFigures = {}): string {
  const ofClusters = (value: (cluster: ClusterFigures) => number): Sample[] => figures.map((cluster) => [{ cluster: cluster.id }, value(cluster)]);
  const ofServers = (value: (server: ServerFigures) => number | null): Sample[] =>
    figures.flatMap((cluster) => cluster.servers.map((server): Sample => [{ cluster: cluster.id, server: server.id }, value(server) ?? undefined]));
  const queries = figures.flatMap(({ id, reads, writes }): Sample[] => [
    [{ cluster: id, operation: 'read' }, reads],
    [{ cluster: id, operation: 'write' }, writes],
  ]);
  const latencies = figures.flatMap(({ id, readLatency, writeLatency }) => [
    ...latencySamples({ cluster: id, operation: 'read' }, readLatency),
    ...latencySamples({ cluster: id, operation: 'write' }, writeLatency),
  ]);
  return [
    familyText('gauge', 'replicaverse_pg_uptime_seconds', 'Since the clusters were connected.', [[{}, uptime]]),
    familyText('gauge', 'replicaverse_pg_cluster_up', 'Whether a server of the cluster takes writes.', ofClusters(({ isDown }) => (isDown ? 0 : 1))),
    familyText('counter', 'replicaverse_pg_queries_total', 'Queries that succeeded.', queries),
    familyText('counter', 'replicaverse_pg_query_errors_total', 'Queries that failed.', ofClusters(({ errors }) => errors)),
    familyText('histogram', 'replicaverse_pg_query_duration_seconds', 'How long queries took that succeeded, waiting for a connection included.', latencies),
    familyText('gauge', 'replicaverse_pg_server_up', 'Whether the server can be used.', ofServers(({ isUp }) => (isUp ? 1 : 0))),
    familyText('gauge', 'replicaverse_pg_server_primary', 'Whether the server takes the writes of its cluster.', ofServers(({ isPrimary }) => (isPrimary ? 1 : 0))),
    familyText('gauge', 'replicaverse_pg_server_response_seconds', 'The moving average of response times.', ofServers(({ responseTime }) => (responseTime === null ? null : responseTime / 1000))),
    familyText('gauge', 'replicaverse_pg_server_failure_ratio', 'The moving average of failures by lost connections and time limits.', ofServers(({ errorRate }) => errorRate)),
    familyText('gauge', 'replicaverse_pg_connections_active', 'Connections that do something or are pinned.', ofServers(({ active }) => active)),
    familyText('gauge', 'replicaverse_pg_connections_idle', 'Connections that are free.', ofServers(({ idle }) => idle)),
    familyText('gauge', 'replicaverse_pg_connections_max', 'The most connections.', ofServers(({ max }) => max)),
    familyText('gauge', 'replicaverse_pg_requests_waiting', 'Requests that wait for a connection.', ofServers(({ waiting }) => waiting)),
    familyText('gauge', 'replicaverse_pg_requests_running', 'Requests that run or stand in a pipeline.', ofServers(({ running }) => running)),
    familyText('counter', 'replicaverse_pg_connections_created_total', 'Connections that were opened.', ofServers(({ created }) => created)),
    familyText('counter', 'replicaverse_pg_connections_destroyed_total', 'Connections that were closed or lost.', ofServers(({ destroyed }) => destroyed)),
    cache == null ? '' : cacheText(figures, cache),
    transactions === undefined ? '' : transactionsText(transactions),
  ].join('');
}

/** What the cache has done for each cluster, and what it holds. */
function cacheText(figures: readonly ClusterFigures[], cache: CacheFigures): string {
  const lookups = figures.flatMap(({ id, cacheHits, cacheMisses }): Sample[] => [
    [{ cluster: id, result: 'hit' }, cacheHits],
    [{ cluster: id, result: 'miss' }, cacheMisses],
  ]);
  return [
    familyText('counter', 'replicaverse_pg_cache_lookups_total', 'Queries that were looked for in the cache.', lookups),
    familyText('counter', 'replicaverse_pg_cache_evictions_total', 'Entries that had to go because of their time or for want of room.', [[{}, cache.evictions]]),
    familyText('gauge', 'replicaverse_pg_cache_entries', 'Results that are kept in this process.', [[{}, cache.itemCount]]),
    familyText('gauge', 'replicaverse_pg_cache_bytes', 'What they take.', [[{}, cache.totalSize]]),
    familyText(
      'gauge',
      'replicaverse_pg_cache_follows_log',
      'Whether the cache follows the log of the cluster at this moment.',
      figures.map(({ id, followsLog }): Sample => [{ cluster: id }, followsLog ? 1 : 0]),
    ),
  ].join('');
}

function transactionsText({ total, active, committed, aborted, distributed, avgDuration }: TransactionMetrics): string {
  const ended = committed + aborted;
  return [
    familyText('counter', 'replicaverse_pg_transactions_started_total', 'Transactions that were begun.', [[{}, total]]),
    familyText('counter', 'replicaverse_pg_transactions_total', 'Transactions that have ended.', [
      [{ outcome: 'committed' }, committed],
      [{ outcome: 'aborted' }, aborted],
    ]),
    familyText('counter', 'replicaverse_pg_transactions_distributed_total', 'Transactions that were committed on several clusters by two phases.', [[{}, distributed]]),
    familyText('gauge', 'replicaverse_pg_transactions_active', 'Transactions that have begun and not ended.', [[{}, active]]),
    familyText('summary', 'replicaverse_pg_transaction_duration_seconds', 'How long transactions took that have ended.', [
      [{}, (avgDuration * ended) / 1000, '_sum'],
      [{}, ended, '_count'],
    ]),
  ].join('');
}

/** Buckets of Prometheus count everything up to their bound. */
function latencySamples(labels: Record<string, string>, { bounds, counts, total }: LatencyFigures): Sample[] {
  let sum = 0;
  const buckets = counts.map((count, at): Sample => {
    sum += count;
    const bound = bounds[at];
    return [{ ...labels, le: bound === undefined ? '+Inf' : String(bound / 1000) }, sum, '_bucket'];
  });
  return [...buckets, [labels, total / 1000, '_sum'], [labels, sum, '_count']];
}
