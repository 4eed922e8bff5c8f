// `npm run bench:sources`: how fast logs of MongoDB and MariaDB are followed, and what several rules of one source cost it.
import { runBenchmark } from '../program.mjs';
import { buildPeers } from '../snapshot/peer-program.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

await runBenchmark({
  script: 'bench:sources',
  help: HELP,
  readOptions,
  servers: ({ sources }) => ['postgres', ...sources],
  peers: buildPeers,
  async measure({ sources, events, rounds }, { undo, log }) {
    const { SOURCES } = await import('./databases.mjs');
    const { measureFans } = await import('./fan-out.mjs');
    const { measureReading } = await import('./reading.mjs');
    const { renderReport } = await import('./report.mjs');
    const readings = [];
    for (const dialect of sources) readings.push(await measureReading(await SOURCES[dialect](undo), events, rounds, log));
    return renderReport(readings, await measureFans(events, undo, log), readMachine());
  },
});
