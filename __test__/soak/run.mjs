// Runs many seeds of the soak, against each kind of target: npm run soak -- --seeds 1000 --target sqlite,mongodb
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from '../../scripts/prepare.mjs';
import { runCommand } from '../../scripts/run-command.mjs';

const HELP = `Usage: npm run soak -- [options]

Kills the replicating process, the source and the target at random moments of a random workload, and compares both ends
after each seed.

  --seeds N        how many, 20 when not given
  --first N        the first seed, 1 when not given
  --target LIST    of sqlite, postgres, mariadb, mongodb; all of them when not given. Or transactions: kills a process that
                   transfers between three clusters, and each server, at every step of the two-phase commit
  --pause MS       the longest time between a batch that was applied and the next kill, 500 when not given
  --kills N        in each seed, 4 when not given
  --help           this text`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    target: { type: 'string' },
    pause: { type: 'string', default: '500' },
    kills: { type: 'string', default: '4' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
} else if (values.target === 'transactions') {
  process.exitCode = await killTransactions(values.seeds, values.first);
} else {
  await prepare({ log: console.log });
  const { startPostgres } = await import('../support/index.mjs');
  const { TARGETS, startTarget } = await import('./targets.mjs');
  const { runSeed } = await import('./seed.mjs');
  const chosen = values.target === undefined ? TARGETS : TARGETS.filter((kind) => values.target?.split(',').includes(kind));
  for (const kind of chosen) {
    const source = await startPostgres();
    const target = await startTarget(kind, await mkdtemp(join(tmpdir(), 'replicaverse-soak-')));
    try {
      const begun = performance.now();
      let committed = 0;
      const first = Number(values.first);
      for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
        const report = await runSeed({ seed, source, target, pauseMs: Number(values.pause), kills: Number(values.kills) });
        committed += report.committed;
        console.log(`${kind} seed ${String(seed)}: equal after ${String(report.committed)} transactions; killed ${report.kills.join(', ')}`);
      }
      const seconds = Math.round((performance.now() - begun) / 1000);
      console.log(`${kind}: ${values.seeds} seeds, ${String(committed)} transactions, every one equal, ${String(seconds)} s`);
    } finally {
      await source.remove();
      await target.remove();
    }
  }
}

/**
 * The test is one of the crate, as only debug builds can be stopped at the steps of the protocol.
 *
 * @param {string} seeds
 * @param {string} first
 */
async function killTransactions(seeds, first) {
  const env = { REPLICAVERSE_SEEDS: seeds, REPLICAVERSE_FIRST_SEED: first };
  const { status } = await runCommand('cargo', ['test', '-p', 'multiverse', '--test', 'transaction', 'kills::', '--', '--nocapture'], { env });
  return status === 0 ? 0 : 1;
}
