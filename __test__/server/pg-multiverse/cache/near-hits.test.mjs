// Hits that are answered without the engine: what they give is the query's own, and no older than what the engine would give.
import { getEventListeners } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import PgMultiverse from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

const EVERYTHING = `SELECT n AS id, 'text ' || n AS name, n / 4.0::float8 AS ratio, n::numeric AS price, jsonb_build_object('n', n) AS doc, timestamptz '2026-01-01' + n * interval '1 day' AS at, NULL::text AS nothing FROM generate_series(1, 3) n`;

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {PgMultiverse} */
let db;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());
beforeEach(async () => {
  await server.psql('DROP TABLE IF EXISTS stock; CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 0), (2, 0)');
  db = new PgMultiverse({ cache: {} });
  await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri) } });
  // Nothing is cached before the engine knows the functions of the database.
  await eventually(async () => {
    await db.query('SELECT 1 AS warm', [], { cache: true });
    return hits() > 0;
  });
});
afterEach(() => db.close());

const hits = () => db.getMetrics().cache?.hits ?? 0;

/**
 * Asks one after the other: but for the first times, without the engine.
 *
 * @param {string} sql
 * @param {unknown[]} values
 * @param {object} more
 */
async function often(sql, values = [], more = {}) {
  const results = [];
  for (let at = 0; at < 20; at += 1) results.push(await db.query(sql, values, { cache: true, ...more }));
  return results;
}

describe('hits of the cache', () => {
  it('give each query values of its own, the same as the query itself', async () => {
    const plain = await db.query(EVERYTHING);
    const names = plain.fields.map(({ name }) => name);
    for (const result of await often(EVERYTHING)) {
      expect(result).toEqual(plain);
      expect(result.fields.map(({ name }) => name)).toEqual(names);
      for (const field of result.fields) field.name = 'changed';
      result.rows[0].doc.n = 'changed';
      result.rows[1].at.setFullYear(1970);
      result.rows.pop();
      result.fields.pop();
    }
    for (const result of await often(EVERYTHING)) expect(result).toEqual(plain);
  });

  it('give rows as lists where that was asked for', async () => {
    await often('SELECT 1 AS a, 2 AS b');
    const lists = await db.query({ text: 'SELECT 1 AS a, 2 AS b', rowMode: 'array' }, [], { cache: true });
    expect(lists.rows).toEqual([[1, 2]]);
  });

  it('are told apart by the values and by what is said about caching', async () => {
    const ask = async (/** @type {unknown} */ value) => (await db.query('SELECT $1::text AS v', [value], { cache: true })).rows[0].v;
    for (let round = 0; round < 5; round += 1) {
      for (const value of ['a', 'b', '', null, 12, '1 2', true]) expect(await ask(value)).toBe(value === null ? null : String(value));
    }
    await often('SELECT n FROM stock WHERE id = 1');
    await server.psql('UPDATE stock SET n = 5 WHERE id = 1');
    expect((await db.query('SELECT n FROM stock WHERE id = 1')).rows).toEqual([{ n: 5 }]);
    expect((await db.query('SELECT n FROM stock WHERE id = 1', [], { cache: false })).rows).toEqual([{ n: 5 }]);
  });

  it('are all counted', async () => {
    const before = hits();
    await often('SELECT n FROM stock WHERE id = $1', [1]);
    expect(hits() - before).toBe(19);
    expect(db.getMetrics().clusters.main?.cache.hits).toBe(hits());
  });

  it('end with an invalidation, from the moment it is asked for', async () => {
    const ask = async () => (await db.query('SELECT n FROM stock WHERE id = 1', [], { cache: true, tags: ['stock'] })).rows[0].n;
    for (let n = 1; n <= 20; n += 1) {
      for (let at = 0; at < 5; at += 1) expect(await ask()).toBe(n - 1);
      await server.psql(`UPDATE stock SET n = ${n} WHERE id = 1`);
      const dropped = db.invalidateCache({ tags: ['stock'] });
      expect(await ask()).toBe(n);
      expect(await dropped).toBe(1);
    }
  });

  it('end with their time', async () => {
    const ask = async () => (await db.query('SELECT n FROM stock WHERE id = 2', [], { cache: true, cacheTtl: 50 })).rows[0].n;
    for (let n = 1; n <= 3; n += 1) {
      await ask();
      await server.psql(`UPDATE stock SET n = ${n} WHERE id = 2`);
      await eventually(async () => {
        for (let at = 0; at < 100; at += 1) await ask();
        return (await ask()) === n;
      });
    }
  });

  it('obey a parser that is set meanwhile', async () => {
    await often('SELECT 7 AS n');
    const numbers = PgMultiverse.types.getTypeParser(23);
    PgMultiverse.setTypeParser(23, (text) => `parsed ${text}`);
    expect((await db.query('SELECT 7 AS n', [], { cache: true })).rows).toEqual([{ n: 'parsed 7' }]);
    PgMultiverse.setTypeParser(23, numbers);
    await often("SELECT 'x'::name AS n");
    PgMultiverse.setTypeParser(19, (text) => `name ${text}`);
    expect((await db.query("SELECT 'x'::name AS n", [], { cache: true })).rows).toEqual([{ n: 'name x' }]);
    PgMultiverse.setTypeParser(19, String);
    expect((await db.query('SELECT 7 AS n', [], { cache: true })).rows).toEqual([{ n: 7 }]);
  });

  it('let the event loop go on', async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    const end = performance.now() + 200;
    while (performance.now() < end) await db.query('SELECT 1 AS n', [], { cache: true });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
  });

  it('leave nothing behind on the signal of their calls', async () => {
    const { signal } = new AbortController();
    await often('SELECT 9 AS n', [], { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('are told to those who listen', async () => {
    await often('SELECT 8 AS n');
    let told = 0;
    db.on('cacheHit', () => (told += 1));
    await often('SELECT 8 AS n');
    expect(told).toBe(20);
  });
});
