// `npm run bench:migrations`: many migrations over many clusters, against node-pg-migrate on one, in the same run.
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { guardian } from '../../__test__/support/guardian.mjs';
import { installPeers, runBenchmark } from '../program.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { writeFiles } from './files.mjs';
import { casesOf, measureRun } from './measure.mjs';
import { HELP, readOptions } from './options.mjs';
import { renderReport } from './report.mjs';

/** @typedef {import('../../examples/demo/undo.mjs').Undo} Undo */

await runBenchmark({
  script: 'bench:migrations',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  peers: () => installPeers(new URL('peers/', import.meta.url)),
  async measure(options, { undo, log }) {
    const servers = await startServers(options.clusters, undo);
    const folders = await writeFiles(await makeFolder(undo), options.migrations);
    const results = casesOf(options.clusters).map((measured) => ({ measured, runs: /** @type {import('./measure.mjs').Run[]} */ ([]) }));
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [at, { measured, runs }] of results.entries()) {
        runs.push(await measureRun(measured, servers, folders, options, `round_${round}_${at}`));
        log(`round ${round + 1}: ${measured.name} on ${measured.clusters}`);
      }
    }
    const { date, machine } = readMachine();
    return renderReport(results, options.migrations, [`${options.migrations} migrations, medians of ${options.rounds} runs [lowest–highest], ${date}.`, `Machine: ${machine}.`]);
  },
});

/**
 * @param {number} count
 * @param {Undo} undo
 */
async function startServers(count, undo) {
  const { startPostgres } = await import('../../__test__/support/index.mjs');
  const servers = [];
  for (let number = 0; number < count; number += 1) {
    const server = await startPostgres({ settings: { fsync: 'on', full_page_writes: 'on', autovacuum: 'off' } });
    undo.add(() => server.remove());
    servers.push(server);
  }
  return servers;
}

/** @param {Undo} undo */
async function makeFolder(undo) {
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
