// `npm run bench:cdc`: how fast changes are applied, how soon they are visible, and the memory they take.
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { UsageError } from '../command-line.mjs';
import { writeReadme } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';
import { buildPeers } from '../snapshot/peer-program.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

// As durable as out of the box. Nothing but the changes is to write.
const SETTINGS = { fsync: 'on', full_page_writes: 'on', wal_level: 'logical', shared_buffers: '256MB', max_wal_size: '8GB', autovacuum: 'off' };

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
  log('building the peers');
  await buildPeers();
  /** @type {import('../../scripts/servers/index.mjs').ServerName[]} */
  const others = options.targets.filter((target) => target === 'mongodb' || target === 'mariadb');
  const found = await ensureServers({ need: ['postgres', ...others], log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const report = await measureAll(options);
  console.log(report);
  if (options.write) writeReadme('bench:cdc', report);
}

/**
 * @param {import('./options.mjs').Options} options
 * @returns {Promise<string>}
 */
async function measureAll({ targets, events, rounds, latencySeconds, largeRows }) {
  const { startPostgres } = await import('../../__test__/support/index.mjs');
  const { measureBacklog } = await import('./backlog.mjs');
  const { measureLatency } = await import('./latency.mjs');
  const { measureLarge } = await import('./large-transaction.mjs');
  const { renderReport } = await import('./report.mjs');
  const { openTarget } = await import('./targets.mjs');
  const { SCHEMA } = await import('./workload.mjs');
  const server = await startPostgres({ settings: SETTINGS });
  undo.add(() => server.remove());
  await server.psql(SCHEMA);
  /** @type {import('./report.mjs').Measured} */
  const measured = { backlogs: [], latencies: [], larges: [] };
  for (const dialect of targets) {
    const target = await openTarget(dialect, server, undo);
    for (const size of events) measured.backlogs.push(await measureBacklog(server, target, size, rounds, log));
    const last = measured.backlogs.at(-1);
    if (last !== undefined && latencySeconds > 0) {
      const rate = last.events / median(last.rounds.map(({ ours }) => ours.seconds));
      log(`${dialect}: latency at ${String(Math.round(rate / 2))} events/s`);
      measured.latencies.push(await measureLatency(server, target, rate / 2, latencySeconds));
    }
    if (largeRows > 0) {
      log(`${dialect}: one transaction of ${String(largeRows)} rows`);
      measured.larges.push(await measureLarge(server, target, largeRows));
    }
  }
  return renderReport(measured, readMachine());
}

/**
 * Standard output is for the report.
 * @param {string} message
 */
function log(message) {
  console.error(message);
}
