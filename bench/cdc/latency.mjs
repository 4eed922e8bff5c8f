// How soon a change is visible at the target, while the source writes half as fast as this library applies.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Ours } from './ours-process.mjs';
import { TABLE } from './workload.mjs';

/**
 * @typedef {object} Latency
 * @property {string} target
 * @property {number} eventsPerSecond
 * @property {number} p50 milliseconds
 * @property {number} p99 milliseconds
 */

/** Writers of the source; each transaction is a round trip. */
const WRITERS = 4;

/**
 * @param {import('./subscription.mjs').Server} server
 * @param {import('./targets.mjs').BenchTarget} target
 * @param {number} eventsPerSecond to write
 * @param {number} seconds
 * @returns {Promise<Latency>}
 */
export async function measureLatency(server, target, eventsPerSecond, seconds) {
  await server.psql(`TRUNCATE ${TABLE}`, server.database);
  await target.empty();
  const ours = new Ours();
  await ours.open({ dialect: 'postgres', uri: server.uri }, target.database());
  await ours.stream();
  const written = await writeAtRate(server.uri, eventsPerSecond, seconds);
  await delay(1000);
  const { latencies } = await ours.end();
  const sorted = latencies.sort((a, b) => a - b);
  return {
    target: target.dialect,
    eventsPerSecond: written / seconds,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
  };
}

/**
 * @param {string} uri
 * @param {number} eventsPerSecond
 * @param {number} seconds
 * @returns {Promise<number>} events that were written
 */
async function writeAtRate(uri, eventsPerSecond, seconds) {
  const start = performance.now();
  let transactions = 0;
  const write = async () => {
    const client = new pg.Client({ connectionString: uri });
    await client.connect();
    try {
      for (;;) {
        const elapsed = (performance.now() - start) / 1000;
        if (elapsed >= seconds) return;
        if (transactions * 10 < eventsPerSecond * elapsed) {
          transactions += 1;
          const first = transactions * 10;
          await client.query(
            `INSERT INTO ${TABLE} SELECT i, 1, 1.5, 0.5, true, 'Item number ' || i, md5(i::text), now(), '{"n": 1}', now() FROM generate_series($1::int8, $1::int8 + 9) i`,
            [first],
          );
        } else {
          await delay(1);
        }
      }
    } finally {
      await client.end();
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  return transactions * 10;
}

/**
 * @param {readonly number[]} sorted
 * @param {number} part from 0 to 1
 */
function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

