// SIGKILL for the process that streams a bidirectional rule, at random moments of random writes on both sides. `npm run soak -- --of
// two-way` runs more seeds.
import { describe, expect, it } from 'vitest';
import { startTarget } from '../../soak/targets.mjs';
import { runTwoWay } from '../../soak/two-way.mjs';
import { startPostgres } from '../../support/index.mjs';
import { temporaryFolder } from '../../support/temporary-folder.mjs';

describe.concurrent.each(['sqlite', 'mongodb'] as const)('a crash between PostgreSQL and %s', (kind) => {
  it(
    'leaves both sides equal, with what was written last, and keeps every loser',
    async () => {
      const [source, target] = await Promise.all([startPostgres(), startTarget(kind, await temporaryFolder('two-way'))]);
      try {
        const { conflicts, losers } = await runTwoWay({ seed: 1, source, target });
        expect(conflicts).toBeGreaterThan(0);
        expect(losers).toBeGreaterThan(0);
      } finally {
        await source.remove();
        await target.remove();
      }
    },
    3 * 60_000,
  );
});
