// `npm run bench:snapshot`: the speed and memory of a snapshot, against peers in the same run.
import { runBenchmark } from '../program.mjs';
import { startPairs, takePair } from './databases.mjs';
import { createDataset } from './dataset.mjs';
import { figuresOf } from './figures.mjs';
import { measurePair } from './measure.mjs';
import { HELP, readOptions } from './options.mjs';
import { runOurs } from './ours-process.mjs';
import { buildPeers } from './peer-program.mjs';
import { renderReport } from './report.mjs';
import { readSurroundings } from './surroundings.mjs';
import { removeTable } from './target.mjs';

/**
 * What a pair needs besides PostgreSQL.
 * @type {Record<import('./options.mjs').OwnPair, import('../../scripts/servers/index.mjs').ServerName[]>}
 */
const SERVERS = { 'pg-pg': [], 'pg-mongo': ['mongodb'], 'pg-mariadb': ['mariadb'], 'pg-sqlite': [] };

await runBenchmark({
  script: 'bench:snapshot',
  help: HELP,
  readOptions,
  servers: ({ pairs }) => ['postgres', ...pairs.flatMap((pair) => SERVERS[pair])],
  peers: buildPeers,
  async measure({ pairs: names, uris, rows: sizes, rounds, json }, { undo, log }) {
    const pairs = uris === undefined ? await startPairs(names, undo) : [await takePair(uris, undo)];
    const results = [];
    for (const pair of pairs) {
      for (const rows of sizes) {
        log(`${pair.name}: making ${rows} rows`);
        await fillSource(pair, rows);
        results.push(await measurePair(pair, rows, rounds, log));
      }
    }
    const surroundings = await readSurroundings(pairs);
    const report = renderReport(results, surroundings);
    return { report, shown: json ? JSON.stringify({ surroundings, results: withFigures(results) }, undefined, 2) : report };
  },
});

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
