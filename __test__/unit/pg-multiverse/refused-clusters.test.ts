// Configurations of clusters that are no objects, refused by their place before anything is connected to.
import { describe, expect, it } from 'vitest';
import { PgMultiverse } from '../../../dist/pg-multiverse.js';

describe('initialize', () => {
  it.each([
    [{ main: null }, 'main: must be an object'],
    [{ main: 5 }, 'main: must be an object'],
    [{ main: { sharding: {} }, other: null }, 'main.sharding.strategy'],
    [{ main: { primary: null } }, 'main.primary: '],
    [[], 'clusters: '],
    [42, 'clusters: '],
  ])('refuses %j', async (clusters, problem) => {
    const failure = expect(new PgMultiverse().initialize(clusters as never)).rejects;
    await failure.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining(problem) as string });
  });
});
