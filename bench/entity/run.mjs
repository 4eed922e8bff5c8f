// `npm run bench:entity`: single rows and lists by the entity service, against the drivers, in the same run.
import { installPeers, runBenchmark } from '../program.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { CASES, measureCase } from './measure.mjs';
import { HELP, readOptions } from './options.mjs';
import { renderReport } from './report.mjs';

await runBenchmark({
  script: 'bench:entity',
  help: HELP,
  readOptions,
  servers: ({ dialects }) => dialects.flatMap((dialect) => (dialect === 'sqlite' ? [] : [dialect])),
  peers: () => installPeers(new URL('peers/', import.meta.url)),
  async measure(options, { undo, log }) {
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
    return renderReport(results, [`Medians of ${options.rounds} rounds [lowest–highest], ${date}.`, `Machine: ${machine}.`]);
  },
});
