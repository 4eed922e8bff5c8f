// `npm run bench:topology`: what it costs to choose the replica of a read, and to watch replicas.
import { runBenchmark } from '../program.mjs';
import { renderTable, spread } from '../readme-figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

const SLAVES = 10;

await runBenchmark({
  script: 'bench:topology',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  async measure({ rounds, replicas, seconds }, { undo, log }) {
    const { startPostgres } = await import('../../__test__/support/index.mjs');
    const { measureChoice, measureWatching, openManager } = await import('./measure.mjs');
    const server = await startPostgres({ standbys: 1, settings: { max_connections: 4 * replicas + 50 } });
    undo.add(() => server.remove());
    const [standby] = server.standbys;
    if (standby === undefined) throw new Error('the server has no standby');
    const few = await openManager(server, standby, SLAVES);
    const times = measureChoice(few, rounds);
    await few.disconnectAll();
    log('choosing');
    const many = await openManager(server, standby, replicas - 1);
    undo.add(() => many.disconnectAll());
    const share = await measureWatching(seconds);
    const { date, machine } = readMachine();
    return [
      ...renderTable([[`choosing one of ${SLAVES} replicas`, 'ns'], ...times.map(({ name, rounds: each }) => [name, spread(each)])]),
      '',
      `Watching ${replicas} replicas, whose lag is measured each second, takes ${(100 * share).toFixed(2)} % of one processor.`,
      '',
      `Medians of ${rounds} rounds [lowest–highest], ${date}.`,
      `Machine: ${machine}; the servers run on it as well.`,
    ].join('\n');
  },
});
