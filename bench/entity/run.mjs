// `npm run bench:entity`: single rows and lists by the entity service, against the drivers, in the same run.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { lastLines, run as runCommand } from '../../scripts/servers/command.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { UsageError } from '../command-line.mjs';
import { writeReadme } from '../readme-figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { CASES, measureCase } from './measure.mjs';
import { HELP, readOptions } from './options.mjs';
import { renderReport } from './report.mjs';

const FOLDER = fileURLToPath(new URL('peers/', import.meta.url));

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

/** @param {import('./options.mjs').Options} options */
async function run(options) {
  await prepare({ log, profile: 'release' });
  await installPeers();
  await findServers(options.dialects);
  const { openSides } = await import('./databases.mjs');
  const results = [];
  for (const dialect of options.dialects) {
    const sides = await openSides(dialect, undo);
    for (const measured of CASES) {
      const rates = await measureCase(measured, sides, options);
      log(`${dialect}: ${measured.name}, ${measured.inFlight} in flight`);
      results.push({ dialect, operation: measured.name, inFlight: measured.inFlight, peer: sides.peer.name, rates });
    }
  }
  const { date, machine } = readMachine();
  const report = renderReport(results, [`Medians of ${options.rounds} rounds [lowest–highest], ${date}.`, `Machine: ${machine}.`]);
  console.log(report);
  if (options.write) writeReadme('bench:entity', report);
}

/** Installs the peers that the package itself does not need, unless they are there. */
async function installPeers() {
  if (existsSync(new URL('peers/node_modules', import.meta.url))) return;
  log('installing the peers');
  const outcome = await runCommand('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER });
  if (outcome.code !== 0) throw new Error(`the peers cannot be installed:\n${lastLines(outcome.stderr, 20)}`);
}

/** @param {readonly import('./options.mjs').Dialect[]} dialects */
async function findServers(dialects) {
  const need = dialects.flatMap((dialect) => (dialect === 'sqlite' ? [] : [dialect]));
  const found = await ensureServers({ need, log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
}

/**
 * Standard output is for the report.
 * @param {string} message
 */
function log(message) {
  console.error(message);
}
