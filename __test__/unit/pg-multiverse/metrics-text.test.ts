// Figures in the text format of Prometheus.
import { expect, it } from 'vitest';
import { metricsText } from '../../../dist/pg-multiverse/metrics-text.js';

const server = { id: 'eu_primary', isPrimary: true, isUp: true, active: 1, idle: 2, connecting: 0, max: 20, created: 3, destroyed: 0, waiting: 0, running: 1, responseTime: null, errorRate: 0.25, lastError: null };
const latency = { bounds: [1, 10], counts: [2, 3, 1], total: 45 };
const none = { bounds: [1, 10], counts: [0, 0, 0], total: 0 };

it('tells every figure once, with buckets that count everything up to their bound', () => {
  const text = metricsText([{ id: 'eu "1"', reads: 6, writes: 0, errors: 2, cacheHits: 0, cacheMisses: 0, followsLog: false, totalDuration: 50, readLatency: latency, writeLatency: none, failures: 0, isDown: false, servers: [server] }], 1.5);
  const lines = text.split('\n');
  expect(lines).toContain('replicaverse_pg_uptime_seconds 1.5');
  expect(lines).toContain('# TYPE replicaverse_pg_query_duration_seconds histogram');
  const read = String.raw`{cluster="eu \"1\"",operation="read"`;
  expect(lines.filter((line) => line.startsWith(`replicaverse_pg_query_duration_seconds_bucket${read}`))).toEqual([
    `replicaverse_pg_query_duration_seconds_bucket${read},le="0.001"} 2`,
    `replicaverse_pg_query_duration_seconds_bucket${read},le="0.01"} 5`,
    `replicaverse_pg_query_duration_seconds_bucket${read},le="+Inf"} 6`,
  ]);
  expect(lines).toContain(`replicaverse_pg_query_duration_seconds_sum${read}} 0.045`);
  expect(lines).toContain(`replicaverse_pg_query_duration_seconds_count${read}} 6`);
  expect(lines).toContain(String.raw`replicaverse_pg_server_failure_ratio{cluster="eu \"1\"",server="eu_primary"} 0.25`);
  expect(text).not.toContain('response_seconds');
  expect(text).not.toContain('replicaverse_pg_cache');
  expect(text).not.toContain('replicaverse_pg_transactions');
  const families = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  expect(new Set(families).size).toBe(families.length);
  expect(text.endsWith('\n')).toBe(true);
});

it('tells what the cache and the transactions have done, where there are any', () => {
  const cluster = { id: 'eu', reads: 6, writes: 0, errors: 2, cacheHits: 30, cacheMisses: 4, followsLog: true, totalDuration: 50, readLatency: latency, writeLatency: none, failures: 0, isDown: false, servers: [server] };
  const cache = { hits: 30, misses: 4, evictions: 5, itemCount: 6, totalSize: 700, rawBytes: 900, storedBytes: 600 };
  const transactions = { total: 9, active: 2, committed: 4, aborted: 3, avgDuration: 50, distributed: 1 };
  const text = metricsText([cluster], 1.5, { cache, transactions });
  const lines = text.split('\n');
  for (const line of [
    '# TYPE replicaverse_pg_cache_lookups_total counter',
    'replicaverse_pg_cache_lookups_total{cluster="eu",result="hit"} 30',
    'replicaverse_pg_cache_lookups_total{cluster="eu",result="miss"} 4',
    'replicaverse_pg_cache_evictions_total 5',
    'replicaverse_pg_cache_entries 6',
    'replicaverse_pg_cache_bytes 700',
    'replicaverse_pg_cache_follows_log{cluster="eu"} 1',
    'replicaverse_pg_transactions_started_total 9',
    'replicaverse_pg_transactions_total{outcome="committed"} 4',
    'replicaverse_pg_transactions_total{outcome="aborted"} 3',
    'replicaverse_pg_transactions_distributed_total 1',
    'replicaverse_pg_transactions_active 2',
    '# TYPE replicaverse_pg_transaction_duration_seconds summary',
    'replicaverse_pg_transaction_duration_seconds_sum 0.35',
    'replicaverse_pg_transaction_duration_seconds_count 7',
  ]) {
    expect(lines).toContain(line);
  }
});
