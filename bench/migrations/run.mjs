// `npm run bench:migrations`: many migrations over many clusters, against node-pg-migrate on one, in the same run.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { guardian } from '../../__test__/support/guardian.mjs';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { lastLines, run as runCommand } from '../../scripts/servers/command.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { UsageError } from '../command-line.mjs';
import { writeReadme } from '../readme-figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { writeFiles } from './files.mjs';
import { casesOf, measureRun } from './measure.mjs';
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
  const servers = await startServers(options.clusters);
  const folders = await writeFiles(await makeFolder(), options.migrations);
  const results = casesOf(options.clusters).map((measured) => ({ measured, runs: /** @type {import('./measure.mjs').Run[]} */ ([]) }));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [at, { measured, runs }] of results.entries()) {
      runs.push(await measureRun(measured, servers, folders, options, `round_${round}_${at}`));
      log(`round ${round + 1}: ${measured.name} on ${measured.clusters}`);
    }
  }
  const { date, machine } = readMachine();
  const report = renderReport(results, options.migrations, [`${options.migrations} migrations, medians of ${options.rounds} runs [lowest–highest], ${date}.`, `Machine: ${machine}.`]);
  console.log(report);
  if (options.write) writeReadme('bench:migrations', report);
}

/** Installs the peers that the package itself does not need, unless they are there. */
async function installPeers() {
  if (existsSync(new URL('peers/node_modules', import.meta.url))) return;
  log('installing the peers');
  const outcome = await runCommand('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER });
  if (outcome.code !== 0) throw new Error(`the peers cannot be installed:\n${lastLines(outcome.stderr, 20)}`);
}

/** @param {number} count */
async function startServers(count) {
  const found = await ensureServers({ need: ['postgres'], log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const { startPostgres } = await import('../../__test__/support/index.mjs');
  const servers = [];
  for (let number = 0; number < count; number += 1) {
    const server = await startPostgres({ settings: { fsync: 'on', full_page_writes: 'on', autovacuum: 'off' } });
    undo.add(() => server.remove());
    servers.push(server);
  }
  return servers;
}

async function makeFolder() {
  const folder = path.join(tmpdir(), `replicaverse-${randomBytes(6).toString('hex')}`);
  // Registered before it exists, so that it never exists unregistered.
  guardian().addPath(folder);
  await mkdir(folder, { mode: 0o700 });
  undo.add(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    guardian().removePath(folder);
  });
  return folder;
}

/**
 * Standard output is for the report.
 * @param {string} message
 */
function log(message) {
  console.error(message);
}
