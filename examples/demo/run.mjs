// The demo: real data go from PostgreSQL to MongoDB and SQLite, then source and targets are compared row by row.
import { ReplicationManager } from 'replicaverse';
import { DATASETS } from './datasets.mjs';
import { maskPassword } from './database-uri.mjs';
import { counted, duration, listed } from './formatting.mjs';
import { load } from './load.mjs';
import { HELP, readOptions } from './options.mjs';
import { confirm, describePlan, ownDatabases, tablesOf } from './own-databases.mjs';
import { startProgress } from './progress.mjs';
import { connect, projectOf, replicate } from './replicate.mjs';
import { isSuccess, verdictLine } from './report.mjs';
import { startServers } from './servers.mjs';
import { createUndo, undoWhenInterrupted } from './undo.mjs';

/** @typedef {import('./options.mjs').Options} Options */

const undo = createUndo();
const interruption = undoWhenInterrupted(undo);
/** What may not appear in messages. */
const secretUris = /** @type {string[]} */ ([]);

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) print(HELP);
  else if (options.own === undefined) await runOnDemoServers(options.tables);
  else await runOnOwnDatabases(options.own, options);
} catch (error) {
  fail(error);
} finally {
  await undo.run().catch(fail);
}

/** @param {Options['tables']} tables */
async function runOnDemoServers(tables) {
  print('Starting the servers');
  const { source, targets } = await startServers(undo);
  print(`From ${source.label} to ${listed(targets.map(({ label }) => label))}`);
  await loadData(source.uri, DATASETS.filter(({ table }) => tables?.includes(table) ?? true));
  const manager = createManager();
  await connect(manager, source, targets, tables ?? ['*']);
  await replicateAndJudge(manager, targets);
}

/**
 * @param {string} uri
 * @param {typeof DATASETS} datasets
 */
async function loadData(uri, datasets) {
  print('\nLoading real data into PostgreSQL');
  const progress = startProgress();
  undo.add(() => progress.stop());
  const start = performance.now();
  const rows = await load(uri, datasets, progress).finally(() => progress.stop());
  print(`  ${counted(rows, 'row')} in ${duration((performance.now() - start) / 1000)}`);
}

/**
 * @param {NonNullable<Options['own']>} uris
 * @param {Options} options
 */
async function runOnOwnDatabases(uris, { tables, yes }) {
  secretUris.push(uris.source, ...uris.targets);
  const { source, targets } = ownDatabases(uris);
  describePlan(source, targets, tables).forEach(print);
  const manager = createManager();
  await connect(manager, source, targets, tables ?? ['*']);
  for (const [index, target] of targets.entries()) {
    const dialect = manager.resolveWriteService(projectOf(index))?.dialect;
    const held = dialect === undefined ? [] : await tablesOf(target, dialect);
    if (!(await confirm(target, held, { yes }))) {
      throw new Error('Nothing was changed.');
    }
  }
  await replicateAndJudge(manager, targets);
}

function createManager() {
  const manager = new ReplicationManager();
  undo.add(() => manager.disconnectAll());
  return manager;
}

/**
 * @param {ReplicationManager} manager
 * @param {readonly import('./replicate.mjs').End[]} targets
 */
async function replicateAndJudge(manager, targets) {
  const outcomes = await replicate(manager, targets, { print, undo });
  print(`\n${verdictLine(outcomes)}`);
  if (!isSuccess(outcomes)) process.exitCode = 1;
}

/** @param {string} line */
function print(line) {
  if (!interruption.aborted) console.log(line);
}

/** @param {unknown} error */
function fail(error) {
  if (interruption.aborted) return;
  process.exitCode = 1;
  const message = error instanceof Error ? error.message : String(error);
  console.error(secretUris.reduce((text, uri) => text.replaceAll(uri, maskPassword(uri)), message));
}
