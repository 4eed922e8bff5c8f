// `npm run bench:cdc`: how fast changes are applied, how soon they are visible, and the memory they take.
import { runBenchmark } from '../program.mjs';
import { median } from '../snapshot/figures.mjs';
import { buildPeers } from '../snapshot/peer-program.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

// As durable as out of the box. Nothing but the changes is to write.
const SETTINGS = { fsync: 'on', full_page_writes: 'on', wal_level: 'logical', shared_buffers: '256MB', max_wal_size: '8GB', autovacuum: 'off' };

await runBenchmark({
  script: 'bench:cdc',
  help: HELP,
  readOptions,
  servers: ({ targets }) => ['postgres', ...targets.filter((target) => target === 'mongodb' || target === 'mariadb')],
  peers: buildPeers,
  async measure({ targets, events, rounds, latencySeconds, largeRows }, { undo, log }) {
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
  },
});
