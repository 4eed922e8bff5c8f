// Readers that draw keys from a Zipf distribution beside a writer, with a cache that follows the log.
const KEYS = 10_000;
const TRACE_MS = 10_000;
const READERS = 16;

export const SCHEMA = `CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL, name text, made timestamptz, data jsonb);
  INSERT INTO item SELECT id, 0, 'item ' || id, now(), '{"a": [1, 2]}' FROM generate_series(1, ${KEYS}) id`;

/**
 * @typedef {object} Trace
 * @property {number} reads
 * @property {number} writes
 * @property {number} hits the share of reads that the cache answered
 * @property {number} stale reads that were older than a write that had been acknowledged
 * @property {number} oldest by how many ms the oldest of these was
 */

/**
 * @param {import('replicaverse/pg-multiverse').PgMultiverse} db
 * @returns {Promise<Trace>}
 */
export async function measureTrace(db) {
  const draw = zipf(KEYS, 1.0);
  const written = new Map();
  const end = performance.now() + TRACE_MS;
  let [reads, writes, stale, oldest] = [0, 0, 0, 0];
  const before = db.getMetrics().cache?.hits ?? 0;
  const reader = async () => {
    while (performance.now() < end) {
      const id = draw();
      const least = written.get(id);
      const { rows } = await db.query('SELECT n FROM item WHERE id = $1', [id], { cache: true });
      reads += 1;
      if (least !== undefined && rows[0].n < least.n) {
        stale += 1;
        oldest = Math.max(oldest, performance.now() - least.at);
      }
    }
  };
  const writer = async () => {
    while (performance.now() < end) {
      const id = draw();
      const { rows } = await db.query('UPDATE item SET n = n + 1 WHERE id = $1 RETURNING n', [id]);
      written.set(id, { n: rows[0].n, at: performance.now() });
      writes += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await Promise.all([writer(), ...Array.from({ length: READERS }, reader)]);
  const hits = (db.getMetrics().cache?.hits ?? 0) - before;
  return { reads, writes, hits: hits / reads, stale, oldest };
}

/**
 * @param {number} keys
 * @param {number} exponent
 */
function zipf(keys, exponent) {
  const sums = [0];
  for (let key = 1; key <= keys; key += 1) sums.push((sums[key - 1] ?? 0) + 1 / key ** exponent);
  const total = sums[keys] ?? 0;
  return () => {
    const wanted = Math.random() * total;
    let [low, high] = [1, keys];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
