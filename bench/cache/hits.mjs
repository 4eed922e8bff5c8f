// Hits of a result of ten rows beside lru-cache, and entries that are dropped by a tag.
import { LRUCache } from 'lru-cache';

const HITS = 20_000;
export const ENTRIES = 100_000;
const TAGGED = 1_000;

/** @typedef {import('replicaverse/pg-multiverse').PgMultiverse} PgMultiverse */

/**
 * Hits per second by each way, round by round.
 *
 * @param {PgMultiverse} db
 * @param {number} rounds
 */
export async function measureHits(db, rounds) {
  const sql = 'SELECT * FROM item ORDER BY id LIMIT 10';
  const options = { cache: true };
  const { rows } = await db.query(sql, [], options);
  const lru = new LRUCache({ max: 2 * ENTRIES });
  lru.set(sql, rows);
  const ways = {
    async one() {
      for (let at = 0; at < HITS; at += 1) await db.query(sql, [], options);
    },
    async many() {
      for (let at = 0; at < HITS; at += 64) await Promise.all(Array.from({ length: 64 }, () => db.query(sql, [], options)));
    },
    async peer() {
      for (let at = 0; at < HITS; at += 1) structuredClone(await Promise.resolve(lru.get(sql)));
    },
  };
  /** @type {Record<keyof typeof ways, number[]>} */
  const rates = { one: [], many: [], peer: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const way of /** @type {const} */ (['one', 'many', 'peer'])) {
      const start = performance.now();
      await ways[way]();
      rates[way].push(HITS / ((performance.now() - start) / 1000));
    }
  }
  return rates;
}

/**
 * How much the heap grows by many entries, in MB, and how long it takes to drop some of them by a tag, in ms.
 *
 * @param {PgMultiverse} db
 */
export async function measureInvalidation(db) {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const tagsOf = (/** @type {number} */ entry) => [entry % (ENTRIES / TAGGED) === 0 ? 'tagged' : 'other'];
  for (let at = 0; at < ENTRIES; at += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, more) => db.query('SELECT $1::int AS n', [at + more], { cache: true, tags: tagsOf(at + more) })));
  }
  globalThis.gc?.();
  const grown = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  const start = performance.now();
  const dropped = await db.invalidateCache({ tags: ['tagged'] });
  return { grown, dropped, ms: performance.now() - start };
}
