// The Rust program of bench/peers.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { lastLines, run } from '../../scripts/servers/command.mjs';
import { TABLE } from './dataset.mjs';
import { runGuarded } from './guarded-process.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = 'snapshot-peers';

/**
 * Builds the program, if it is stale.
 * @returns {Promise<void>}
 */
export async function buildPeers() {
  const outcome = await run('cargo', ['build', '--release', '--package', PACKAGE], { cwd: ROOT });
  if (outcome.code !== 0) throw new Error(`bench/peers does not build:\n${lastLines(outcome.stderr, 40)}`);
}

/**
 * Reads the source's rows into memory and inserts them at the target.
 * @param {Database} source
 * @param {Database} target
 * @returns {Promise<number>} the seconds that the inserts took
 */
export async function insertReadyRows(source, target) {
  return (await runProgram({ do: 'insert', source, target, table: TABLE })).seconds;
}

/**
 * Counts the rows of the table in a SQLite file.
 * @param {string} file
 * @returns {Promise<number>}
 */
export async function countSqliteRows(file) {
  return (await runProgram({ do: 'count-sqlite', file, table: TABLE })).rows;
}

/**
 * @param {object} job goes over standard input, because URIs hold passwords
 * @returns {Promise<{rows: number, seconds: number}>}
 */
export async function runProgram(job) {
  const folder = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
  return JSON.parse(await runGuarded(path.join(folder, 'release', PACKAGE), [], { input: JSON.stringify(job) }));
}
