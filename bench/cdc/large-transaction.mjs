// The memory that one large transaction of the source takes.
import pg from 'pg';
import { Ours } from './ours-process.mjs';
import { LARGE_TRANSACTION, TABLE } from './workload.mjs';

/**
 * @typedef {object} Large
 * @property {string} target
 * @property {number} rows
 * @property {import('./ours.mjs').CaughtUp} ours
 */

/**
 * @param {import('./subscription.mjs').Server} server
 * @param {import('./targets.mjs').BenchTarget} target
 * @param {number} rows
 * @returns {Promise<Large>}
 */
export async function measureLarge(server, target, rows) {
  await server.psql(`TRUNCATE ${TABLE}`, server.database);
  await target.empty();
  const ours = new Ours();
  await ours.open({ dialect: 'postgres', uri: server.uri }, target.database());
  const client = new pg.Client({ connectionString: server.uri });
  await client.connect();
  await client.query(LARGE_TRANSACTION, [rows]);
  await client.end();
  const measured = await ours.catchUp();
  await ours.end();
  return { target: target.dialect, rows, ours: measured };
}
