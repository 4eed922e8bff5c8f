// `npm run bench:failover`: for how long a cluster answers no reads and takes no writes when its primary is killed.
import { runBenchmark } from '../program.mjs';
import { renderTable, spread } from '../readme-figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';

const HEADINGS = ['reads go to', 'ms without a read', 'ms without a write', 'ms from the promotion to a write', 'ms of a health check'];

await runBenchmark({
  script: 'bench:failover',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  async measure({ rounds }, { undo, log }) {
    const { PostgresPair } = await import('../../__test__/support/postgres-pair.mjs');
    const { measureFailover, READERS } = await import('./measure.mjs');
    const pair = await PostgresPair.start();
    undo.add(() => pair.remove());
    const lines = [HEADINGS];
    for (const reader of READERS) {
      const gaps = [];
      for (let round = 0; round < rounds; round += 1) {
        gaps.push(await measureFailover(pair, reader));
        log(`${reader}, round ${round + 1}`);
      }
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
    return [
      ...renderTable(lines),
      '',
      `Medians of ${rounds} failovers [lowest–highest], ${date}.`,
      `Machine: ${machine}; the servers run on it as well.`,
      `Versions: Node ${process.versions.node}, PostgreSQL ${version}.`,
    ].join('\n');
  },
});
