// The figures that the service logs of its streams.
import { expect, it } from 'vitest';
import { StreamFigures } from '../../../dist/replicator/stream-figures.js';
import type { SyncStats } from '../../../dist/index.js';

let created = 0;
const manager = {
  getSyncStats: (ruleName: string): SyncStats | undefined =>
    created === 0 ? undefined : ({ ruleName, lastSync: null, recordsSynced: created, errors: 1, duration: 1, details: [{ collection: 'c', created, updated: 0, deleted: 2 }] } as unknown as SyncStats),
};

it('tell of what has come since they were last told, over a stream that ends and begins anew, also one that does more', async () => {
  const figures = new StreamFigures(manager);
  expect(figures.take('r')).toEqual({ created: 0, updated: 0, deleted: 0, failed: 0 });
  created = 50;
  expect(figures.take('r')).toEqual({ created: 50, updated: 0, deleted: 2, failed: 1 });
  expect(figures.take('r')).toEqual({ created: 0, updated: 0, deleted: 0, failed: 0 });
  created = 53;
  await figures.anew('r', async () => { created = 70; });
  expect(figures.take('r')).toEqual({ created: 73, updated: 0, deleted: 2, failed: 1 });
  await expect(figures.anew('r', async () => { throw new Error('not yet'); })).rejects.toThrow('not yet');
  expect(figures.take('r')).toEqual({ created: 0, updated: 0, deleted: 0, failed: 0 });
});
