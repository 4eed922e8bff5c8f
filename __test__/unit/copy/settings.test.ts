// The options of a copy: their defaults, and what is refused.
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../../dist/copy/settings.js';

const ends = { source: 'a.csv', destinations: ['b.db'] };

describe('the options of a copy', () => {
  it('have defaults, and those beside the source win over those in options', () => {
    expect(settingsOf(ends)).toMatchObject({ entities: ['*'], createTables: true, existing: 'source-wins', truncate: false, dryRun: false });
    const both = settingsOf({ ...ends, batchSize: 7, options: { batchSize: 5, entities: ['User'] } });
    expect(both).toMatchObject({ batchSize: 7, entities: ['User'] });
  });

  it.each([
    [{ entities: [] }, 'entities: expected'],
    [{ entities: [''] }, 'entities: expected'],
    [{ batchSize: 0 }, 'batchSize: expected a whole number from 1'],
    [{ batchSize: 1.5 }, 'batchSize'],
    [{ existing: 'burn' }, 'known are overwrite, skip, newer'],
    [{ dryRun: 'yes' }, 'dryRun: expected true or false'],
    [{ onProgress: 1 }, 'onProgress: expected a function'],
    [{ entites: ['User'] }, 'entites: there is no such option'],
    [{ options: { mode: 'x' } }, 'mode: there is no such option'],
  ])('refuse %j', (given, message) => {
    expect(() => settingsOf({ ...ends, ...given } as never)).toThrow(message);
  });
});
