// The demo's data in a real PostgreSQL: every row, with the types that the tables promise.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATASETS } from '../../../examples/demo/datasets.mjs';
import { load } from '../../../examples/demo/load.mjs';
import { startPostgres } from '../../support/index.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let postgres;
/** @type {import('../../../examples/demo/progress-line.mjs').Step[]} */
const steps = [];
/** @type {number} */
let loaded;
beforeAll(async () => {
  postgres = await startPostgres();
  loaded = await load(postgres.uri, DATASETS, { update: (step) => steps.push(step), stop: () => undefined });
});
afterAll(() => postgres.remove());

describe('loading the data sets', () => {
  it('brings in every row and says so', async () => {
    const counts = DATASETS.map(({ table }) => `(SELECT count(*) FROM ${table})`);
    expect(await postgres.psql(`SELECT ${counts.join(' + ')}`)).toBe('281416');
    expect(loaded).toBe(281_416);
    const finished = steps.filter(({ done }) => done);
    expect(finished.map(({ collection, rows }) => `${collection} ${rows}`)).toEqual([
      'airports 3376',
      'zipcodes 42049',
      'movies 3201',
      'earthquakes 1707',
      'flights 231083',
    ]);
  });

  it('keeps values as they are in the files', async () => {
    expect(await postgres.psql("SELECT city IS NULL, latitude FROM airports WHERE iata = 'CLD'")).toBe('t|33.127231');
    expect(await postgres.psql("SELECT city FROM zipcodes WHERE zip_code = '00501'")).toBe('Holtsville');
    expect(await postgres.psql('SELECT title, us_gross, release_date FROM movies WHERE id = 1')).toBe('The Land Girls|146083.00|1998-06-12');
    const earthquake = "SELECT time AT TIME ZONE 'UTC', types[2], geometry->'coordinates'->>0, tsunami FROM earthquakes WHERE id = 'ci37868143'";
    expect(await postgres.psql(earthquake)).toBe('2018-02-07 01:26:13.84|nearby-cities|-118.6671667|f');
    expect(await postgres.psql('SELECT delay, distance, time FROM flights WHERE id = 1')).toBe('14|405|0.016666666666666666');
  });

  it('leaves statistics from which the replication takes its totals', async () => {
    expect(await postgres.psql("SELECT reltuples FROM pg_class WHERE relname = 'flights'")).toBe('231083');
  });

  it('fails with the reason when a table is there already', async () => {
    const ignored = { update: () => undefined, stop: () => undefined };
    await expect(load(postgres.uri, DATASETS, ignored)).rejects.toThrow('relation "airports" already exists');
  });
});
