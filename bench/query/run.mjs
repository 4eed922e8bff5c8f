// `npm run bench:query`: queries by PgMultiverse and by other clients, in the same run.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { lastLines, run as runCommand } from '../../scripts/servers/command.mjs';
import { runBenchmark } from '../program.mjs';
import { median } from '../snapshot/figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { CASES, SCHEMA, UPKEEP } from './cases.mjs';
import { HELP, readOptions } from './options.mjs';

const MEMORY_PROCESS = fileURLToPath(new URL('memory-process.mjs', import.meta.url));
const MEMORY_RUNS = 3;

await runBenchmark({
  script: 'bench:query',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  async measure(options, { undo, log }) {
    const { startPostgres } = await import('../../__test__/support/index.mjs');
    const server = await startPostgres({ settings: { shared_buffers: '256MB' } });
    undo.add(() => server.remove());
    await server.psql(SCHEMA);
    await server.psql(UPKEEP);
    const { CLIENTS, openClient } = await import('./clients.mjs');
    const { measureCase } = await import('./measure.mjs');
    const clients = await Promise.all(CLIENTS.map((name) => openClient(name, server.uri, options.connections)));
    undo.add(async () => void (await Promise.all(clients.map((client) => client.close()))));
    const chosen = CASES.filter(({ name }) => options.cases.length === 0 || options.cases.some((part) => name.includes(part)));
    const results = [];
    for (const measured of chosen) {
      results.push({ measured, turns: await measureCase(measured, clients, options) });
      log(`${measured.name}, ${measured.inFlight} in flight`);
    }
    const memory = options.cases.length > 0 ? [] : await peaks(CLIENTS, server.uri);
    const { renderReport } = await import('./report.mjs');
    return renderReport(results, memory, surroundings(options, (await server.psql('SHOW server_version')).trim()));
  },
});

/**
 * The peak of memory of each client, in a process of its own.
 *
 * @param {readonly string[]} names
 * @param {string} uri
 */
async function peaks(names, uri) {
  const megabytes = [];
  for (const name of names) {
    const runs = [];
    for (let turn = 0; turn < MEMORY_RUNS; turn += 1) {
      const outcome = await runCommand(process.execPath, ['--expose-gc', MEMORY_PROCESS, uri, name]);
      if (outcome.code !== 0) throw new Error(lastLines(outcome.stderr, 20));
      runs.push(JSON.parse(outcome.stdout).megabytes);
    }
    megabytes.push(median(runs));
  }
  return megabytes;
}

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} server its version
 */
function surroundings({ rounds, connections }, server) {
  const { date, machine } = readMachine();
  const version = (/** @type {string} */ name) => JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;
  return [
    `Medians of ${rounds} rounds [lowest–highest], ${connections} connections each, ${date}.`,
    `Machine: ${machine}; the server runs on it as well.`,
    `Versions: Node ${process.versions.node}, PostgreSQL ${server}, pg ${version('pg')}, postgres ${version('postgres')}.`,
  ];
}
