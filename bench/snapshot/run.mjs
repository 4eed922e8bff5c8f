// `npm run bench:snapshot`: the speed and memory of a snapshot, against peers in the same run.
import { prepare } from '../../scripts/prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { writeReadme } from '../readme-figures.mjs';
import { startPairs, takePair } from './databases.mjs';
import { createDataset } from './dataset.mjs';
import { figuresOf } from './figures.mjs';
import { measurePair } from './measure.mjs';
import { HELP, UsageError, readOptions } from './options.mjs';
import { runOurs } from './ours-process.mjs';
import { buildPeers } from './peer-program.mjs';
import { renderReport } from './report.mjs';
import { readSurroundings } from './surroundings.mjs';
import { removeTable } from './target.mjs';

/** @typedef {import('./options.mjs').Options} Options */

/**
 * What a pair needs besides PostgreSQL.
 * @type {Record<import('./options.mjs').OwnPair, import('../../scripts/servers/index.mjs').ServerName[]>}
 */
const SERVERS = { 'pg-pg': [], 'pg-mongo': ['mongodb'], 'pg-mariadb': ['mariadb'], 'pg-sqlite': [] };

const undo = createUndo();
undoWhenInterrupted(undo);
try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else await run(options);
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
} finally {
  await undo.run();
}

/** @param {Options} options */
async function run(options) {
  await prepare({ log, profile: 'release' });
  log('building the peers');
  await buildPeers();
  const pairs = await openPairs(options);
  const results = await measureAll(pairs, options);
  const surroundings = await readSurroundings(pairs);
  const report = renderReport(results, surroundings);
  console.log(options.json ? JSON.stringify({ surroundings, results: withFigures(results) }, undefined, 2) : report);
  if (options.write) writeReadme('bench:snapshot', report);
}

/**
 * @param {Options} options
 * @returns {Promise<import('./databases.mjs').Pair[]>}
 */
async function openPairs({ pairs, uris }) {
  const found = await ensureServers({ need: ['postgres', ...pairs.flatMap((pair) => SERVERS[pair])], log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  return uris === undefined ? startPairs(pairs, undo) : [await takePair(uris, undo)];
}

/**
 * @param {readonly import('./databases.mjs').Pair[]} pairs
 * @param {Options} options
 * @returns {Promise<import('./measure.mjs').Result[]>}
 */
async function measureAll(pairs, { rows: sizes, rounds }) {
  const results = [];
  for (const pair of pairs) {
    for (const rows of sizes) {
      log(`${pair.name}: making ${rows} rows`);
      await fillSource(pair, rows);
      results.push(await measurePair(pair, rows, rounds, log));
    }
  }
  return results;
}

/**
 * Only PostgreSQL can make the rows; another source gets them by a copy.
 * @param {import('./databases.mjs').Pair} pair
 * @param {number} rows
 */
async function fillSource({ origin, source }, rows) {
  await createDataset(origin.uri, rows);
  if (origin === source) return;
  await removeTable(source);
  await runOurs(origin, source);
}

/** @param {readonly import('./measure.mjs').Result[]} results */
function withFigures(results) {
  return results.map((result) => ({ ...result, figures: figuresOf(result) }));
}

/**
 * Standard output is for the report.
 * @param {string} message
 */
function log(message) {
  console.error(message);
}
