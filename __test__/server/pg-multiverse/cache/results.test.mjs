// Cached results of queries: the same values, told once, dropped by what is asked.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import PgMultiverse from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

/** @param {import('replicaverse/pg-multiverse').MultiClusterConfig} [config] */
async function open(config) {
  const db = new PgMultiverse(config);
  await db.initialize({
    main: { schemas: ['public'], primary: addressOf(server.uri), schemaOptions: { public: { cacheStrategy: 'conservative' } } },
    eager: { schemas: ['eager'], primary: addressOf(server.uri), schemaOptions: { eager: { cacheStrategy: 'aggressive' } } },
  });
  // Reads are known as such once the catalogue has been read.
  await eventually(async () => {
    await db.query('SELECT 1 AS warm', [], { cache: true });
    await db.query('SELECT 1 AS warm', [], { cache: true, clusterId: 'eager' });
    return Object.values(db.getMetrics().clusters).every(({ cache }) => cache.hits > 0);
  });
  await db.invalidateCache({ pattern: /./ });
  return db;
}

const ALL_TYPES = `SELECT 1 AS int, 2::int8 AS big, 1.5::numeric AS numeric, 0.1::float8 AS float, true AS bool, 'é' AS text,
  timestamptz '2024-02-29 12:00:00.123+02' AS instant, timestamp '2024-02-29 12:00' AS local, date '2024-02-29' AS day,
  '{"a":[1]}'::jsonb AS json, '\\x00ff'::bytea AS bytes, ARRAY[1,2] AS list, interval '1 day' AS interval, point(1,2) AS point, NULL AS nothing`;

describe('a cached result', () => {
  it('has the values of the query itself, and belongs to whoever asked', async () => {
    const db = await open();
    const plain = await db.query(ALL_TYPES);
    const first = await db.query(ALL_TYPES, [], { cache: true });
    const hit = await db.query(ALL_TYPES, [], { cache: true });
    expect(hit).toEqual(plain);
    expect(first).toEqual(plain);
    hit.rows[0].json.a.push(2);
    hit.rows[0].instant.setTime(0);
    expect(await db.query(ALL_TYPES, [], { cache: true })).toEqual(plain);
    expect(db.getMetrics().cache).toMatchObject({ hits: expect.any(Number), itemCount: 1 });
    const lists = await db.query({ text: ALL_TYPES, rowMode: 'array' }, [], { cache: true });
    expect(lists.rows[0]).toEqual(Object.values(plain.rows[0]));
    await db.close();
  });

  it('goes through the parsers that are set when it is asked for', async () => {
    const db = await open();
    const ask = async () => (await db.query('SELECT 7 AS n', [], { cache: true })).rows[0].n;
    expect([await ask(), await ask()]).toEqual([7, 7]);
    db.setTypeParser(23, (text) => `parsed ${text}`);
    expect([await ask(), await ask()]).toEqual(['parsed 7', 'parsed 7']);
    await db.close();
  });

  it('is told of once per call, and only what is true', async () => {
    const db = await open();
    /** @type {unknown[]} */
    const told = [];
    for (const event of /** @type {const} */ (['cacheHit', 'cacheMiss', 'cacheEviction', 'queryExecuted'])) {
      db.on(event, (/** @type {any} */ { key, schema, clusterId, reason }) => told.push([event, key, schema, clusterId, reason]));
    }
    const options = { cache: true, cacheKey: 'answer', schema: 'public', tags: ['x'] };
    await db.query('SELECT 42 AS n', [], options);
    await db.query('SELECT 42 AS n', [], options);
    await db.query('SELECT 43 AS n', [], { schema: 'public' });
    expect(await db.invalidateCache({ tags: ['y', 'x'] })).toBe(1);
    await eventually(() => told.length === 5);
    expect(told).toEqual([
      ['cacheMiss', 'answer', 'public', 'main', undefined],
      ['queryExecuted', undefined, undefined, 'main', undefined],
      ['cacheHit', 'answer', 'public', 'main', undefined],
      ['queryExecuted', undefined, undefined, 'main', undefined],
      ['cacheEviction', 'answer', undefined, undefined, 'manual'],
    ]);
    await db.close();
  });

  it('is dropped by the first of schema, tags, cluster and pattern', async () => {
    const db = await open();
    const fill = async () => {
      await db.query('SELECT $1::int AS n', [1], { cache: true, tags: ['one'] });
      await db.query('SELECT $1::int AS n', [2], { cache: true, schema: 'public' });
      await db.query('SELECT $1::int AS n', [3], { schema: 'eager' });
      return db.getMetrics().cache?.itemCount;
    };
    expect(await fill()).toBe(3);
    expect(await db.invalidateCache({ schema: 'eager', tags: ['one'] })).toBe(1);
    expect(await fill()).toBe(3);
    expect(await db.invalidateCache({ tags: ['one'], cluster: 'main' })).toBe(1);
    expect(await fill()).toBe(3);
    expect(await db.invalidateCache({ cluster: 'main' })).toBe(2);
    expect(await fill()).toBe(3);
    expect(await db.invalidateCache({ pattern: /:\["[23]"\]$/g })).toBe(2);
    expect(await db.invalidateCache({})).toBe(0);
    await db.close();
  });

  it('is dropped with few and with very many others that have its tag', async () => {
    const db = await open({ cache: { maxSize: 20_000 } });
    const ask = async (/** @type {number} */ count, /** @type {string} */ tag) => {
      const { hits } = db.getMetrics().cache ?? {};
      await Promise.all(Array.from({ length: count }, (_, n) => db.query('SELECT $1::int AS n', [n], { cache: true, cacheKey: `${tag} ${n}`, tags: [tag] })));
      return (db.getMetrics().cache?.hits ?? 0) - (hits ?? 0);
    };
    for (const [count, tag] of /** @type {const} */ ([[10, 'few'], [6_000, 'many']])) {
      await ask(count, tag);
      expect(await db.invalidateCache({ tags: [tag] })).toBe(count);
      expect(await ask(count, tag)).toBe(0);
      expect(await ask(count, tag)).toBe(count);
    }
    await db.close();
  });

  it('counts in the figures of its cluster, and not as executed', async () => {
    const db = await open();
    const before = db.getMetrics().clusters.main?.queries;
    for (let at = 0; at < 5; at += 1) await db.query('SELECT 5 AS n', [], { cache: true });
    const after = db.getMetrics().clusters.main;
    expect((after?.queries.cached ?? 0) - (before?.cached ?? 0)).toBe(4);
    expect((after?.queries.reads ?? 0) - (before?.reads ?? 0)).toBe(1);
    expect((after?.queries.total ?? 0) - (before?.total ?? 0)).toBe(5);
    await db.close();
  });

  it('is not used in transactions, for strong reads, or where caching is off', async () => {
    const db = await open();
    const ask = (/** @type {object} */ options) => db.query('SELECT 6 AS n', [], options);
    await ask({ cache: true });
    const hits = () => db.getMetrics().cache?.hits;
    const before = hits();
    await ask({ cache: false });
    await ask({ cache: true, consistencyLevel: 'strong' });
    await ask({ cache: true, operation: 'write' });
    const client = await db.getConnection();
    await client.query('SELECT 6 AS n', [], /** @type {any} */ ({ cache: true }));
    client.release();
    expect(hits()).toBe(before);
    await db.close();
    const without = new PgMultiverse({ enableCache: false });
    await without.initialize({ main: { primary: addressOf(server.uri) } });
    await without.query('SELECT 6 AS n', [], { cache: true });
    expect(without.getMetrics().cache).toBeUndefined();
    expect(await without.invalidateCache({ cluster: 'main' })).toBe(0);
    await without.close();
  });

  it('lets the event loop have its turn, however often it is asked for', async () => {
    const db = await open();
    await db.query('SELECT 9 AS n', [], { cache: true });
    let turns = 0;
    const turn = () => {
      turns += 1;
      if (turns < 5) setTimeout(turn, 0);
    };
    setTimeout(turn, 0);
    for (let asked = 0; asked < 1_000_000 && turns < 5; asked += 1) await db.query('SELECT 9 AS n', [], { cache: true });
    expect(turns).toBe(5);
    await db.close();
  });

  it('lives as long as its call or the cache says', async () => {
    const db = await open({ cache: { ttl: 3_600_000 } });
    /** @type {unknown[]} */
    const gone = [];
    db.on('cacheEviction', ({ key, reason }) => gone.push([key, reason]));
    await db.query('SELECT 8 AS n', [], { cache: true, cacheKey: 'long' });
    await db.query('SELECT 8 AS n', [], { cache: true, cacheKey: 'short', cacheTtl: 1 });
    await eventually(() => gone.length > 0);
    expect(gone).toEqual([['short', 'ttl']]);
    expect(db.getMetrics().cache?.itemCount).toBe(1);
    await db.close();
  });

  it('is refused with options that mean nothing', async () => {
    expect(() => new PgMultiverse({ cache: { strategy: /** @type {any} */ ('best') } })).toThrow('cache: strategy: expected lru, lfu, fifo');
    const db = await open();
    await expect(db.query('SELECT 1', [], { cache: /** @type {any} */ ('yes') })).rejects.toThrow('cache: expected true or false');
    await expect(db.query('SELECT 1', [], { cacheTtl: -1 })).rejects.toThrow('cacheTtl');
    await db.close();
  });
});
