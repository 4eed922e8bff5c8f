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
  const families = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  expect(new Set(families).size).toBe(families.length);
  expect(text.endsWith('\n')).toBe(true);
});
