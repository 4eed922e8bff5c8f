// `npm run bench:failover`: for how long a cluster answers no reads and takes no writes when its primary is killed.
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { UsageError } from '../command-line.mjs';
import { renderTable, writeReadme } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

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

/** @param {ReturnType<typeof readOptions>} options */
async function run({ rounds, write }) {
  await prepare({ log, profile: 'release' });
  const found = await ensureServers({ need: ['postgres'], log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const { PostgresPair } = await import('../../__test__/support/postgres-pair.mjs');
  const { measureFailover, READERS } = await import('./measure.mjs');
  const pair = await PostgresPair.start();
  undo.add(() => pair.remove());
  const lines = [['reads go to', 'ms without a read', 'ms without a write', 'ms from the promotion to a write', 'ms of a health check']];
  for (const reader of READERS) {
    const gaps = [];
    for (let round = 0; round < rounds; round += 1) {
      gaps.push(await measureFailover(pair, reader));
      log(`${reader}, round ${round + 1}`);
    }
    const spread = (/** @type {number[]} */ values, digits = 0) => `${median(values).toFixed(digits)} [${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}]`;
    lines.push([
      reader === 'replica' ? 'the standby' : 'the primary',
      spread(gaps.map((gap) => gap.read)),
      spread(gaps.map((gap) => gap.write)),
      spread(gaps.map((gap) => gap.moved)),
      spread(gaps.map((gap) => gap.check), 1),
    ]);
  }
  const { date, machine } = readMachine();
  const version = (await pair.leader.psql('SHOW server_version')).trim();
  const report = [...renderTable(lines), '', `Medians of ${rounds} failovers [lowest–highest], ${date}.`, `Machine: ${machine}; the servers run on it as well.`, `Versions: Node ${process.versions.node}, PostgreSQL ${version}.`].join('\n');
  console.log(report);
  if (write) writeReadme('bench:failover', report);
}

/**
 * Standard output is for the report.
 * @param {string} message
 */
function log(message) {
  console.error(message);
}
