// SIGKILL for the replicating process, the source and the target at random moments of a random workload: afterwards both ends
// are equal, and nothing was applied twice. `npm run soak` runs more seeds. The targets take turns in waiting for leases to run
// out, so that they are tested at the same time.
import { describe, expect, it } from 'vitest';
import { runSeed } from '../../soak/seed.mjs';
import { startSource } from '../../soak/sources.mjs';
import { TARGETS, startTarget } from '../../soak/targets.mjs';
import { temporaryFolder } from '../../support/temporary-folder.mjs';

const SEEDS = [1, 2, 3, 4, 5];

const PAIRS = [
  ...TARGETS.map((to) => ({ from: 'postgres' as const, to, kills: 4 })),
  { from: 'mariadb' as const, to: 'sqlite' as const, kills: 2 },
  { from: 'mongodb' as const, to: 'sqlite' as const, kills: 2 },
];

describe.concurrent.each(PAIRS)('a crash on the way from $from to $to', ({ from, to, kills }) => {
  it(
    '2. No change is lost or applied twice on resume',
    async () => {
      const [source, target] = await Promise.all([startSource(from), startTarget(to, await temporaryFolder('soak'))]);
      try {
        for (const seed of SEEDS) {
          const { committed, batches } = await runSeed({ seed, source, target, kills });
          expect(committed).toBeGreaterThan(0);
          expect(batches).toBeGreaterThan(0);
        }
      } finally {
        await source.remove();
        await target.remove();
      }
    },
    5 * 60_000,
  );
});
