// Failovers under write load, by seeds; `npm run soak -- --of topology` runs more of them.
import { expect, it } from 'vitest';
import { runFailover } from '../../soak/topology-failover.mjs';

it.each([1, 2, 3, 4, 5])('a master that is killed under load is replaced without losing an acknowledged write (seed %i)', async (seed) => {
  const { acknowledged, newMaster } = await runFailover(seed);
  expect(acknowledged).toBeGreaterThan(40);
  expect(newMaster).toMatch(/^standby_/);
}, 180_000);
