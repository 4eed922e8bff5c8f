// `npm run bench:cache`: hits of the cache beside lru-cache with structuredClone, invalidation by tag, and a Zipf trace under
// writes with a cache that follows the log.
import { LRUCache } from 'lru-cache';
import { prepare } from '../../scripts/prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';

const ROUNDS = 5;
const HITS = 20_000;
const ENTRIES = 100_000;
const TAGGED = 1_000;
const KEYS = 10_000;
const TRACE_MS = 10_000;
const READERS = 16;

const undo = createUndo();
undoWhenInterrupted(undo);
try {
  await run();
} finally {
  await undo.run();
}

async function run() {
  await prepare({ log: console.error, profile: 'release' });
  const found = await ensureServers({ need: ['postgres'], log: console.error });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const { startPostgres } = await import('../../__test__/support/index.mjs');
  const server = await startPostgres({ settings: { wal_level: 'logical', shared_buffers: '256MB' } });
  undo.add(() => server.remove());
  const { default: PgMultiverse } = await import('replicaverse/pg-multiverse');
  const uri = new URL(server.uri);
  const primary = { host: uri.hostname, port: Number(uri.port), database: uri.pathname.slice(1), user: uri.username, password: decodeURIComponent(uri.password) };
  /** @param {import('replicaverse/pg-multiverse').CacheConfig} cache */
  const open = async (cache) => {
    const db = new PgMultiverse({ cache: { maxSize: 2 * ENTRIES, maxBytes: 1 << 30, ...cache } });
    undo.add(() => db.close());
    await db.initialize({ main: { schemas: ['public'], primary } });
    while ((db.getMetrics().cache?.hits ?? 0) === 0) await db.query('SELECT 1 AS warm', [], { cache: true });
    return db;
  };
  await server.psql(`CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL, name text, made timestamptz, data jsonb);
    INSERT INTO item SELECT id, 0, 'item ' || id, now(), '{"a": [1, 2]}' FROM generate_series(1, ${KEYS}) id`);
  const db = await open({});
  await measureHits(db);
  await measureInvalidation(db);
  await measureTrace(await open({ invalidate: 'wal', ttl: 0 }));
}

/** @param {import('replicaverse/pg-multiverse').PgMultiverse} db */
async function measureHits(db) {
  const sql = 'SELECT * FROM item ORDER BY id LIMIT 10';
  const options = { cache: true };
  const { rows } = await db.query(sql, [], options);
  const lru = new LRUCache({ max: 2 * ENTRIES });
  lru.set(sql, rows);
  const ours = async () => {
    for (let at = 0; at < HITS; at += 1) await db.query(sql, [], options);
  };
  const oursTogether = async () => {
    for (let at = 0; at < HITS; at += 64) await Promise.all(Array.from({ length: 64 }, () => db.query(sql, [], options)));
  };
  const theirs = async () => {
    for (let at = 0; at < HITS; at += 1) structuredClone(await Promise.resolve(lru.get(sql)));
  };
  const rates = /** @type {Record<string, number[]>} */ ({ 'one by one': [], '64 at a time': [], 'lru-cache + structuredClone': [] });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, work] of /** @type {const} */ ([['one by one', ours], ['64 at a time', oursTogether], ['lru-cache + structuredClone', theirs]])) {
      const start = performance.now();
      await work();
      rates[name]?.push(HITS / ((performance.now() - start) / 1000));
    }
  }
  for (const [name, each] of Object.entries(rates)) console.log(`hits of 10 rows, ${name}: ${Math.round(median(each))}/s`);
}

/** @param {import('replicaverse/pg-multiverse').PgMultiverse} db */
async function measureInvalidation(db) {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < ENTRIES; at += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, more) => db.query('SELECT $1::int AS n', [at + more], { cache: true, tags: [(at + more) % (ENTRIES / TAGGED) === 0 ? 'tagged' : 'other'] })));
  }
  globalThis.gc?.();
  console.log(`heap after ${ENTRIES} entries: ${((process.memoryUsage().heapUsed - before) / 2 ** 20).toFixed(1)} MB more`);
  const start = performance.now();
  const dropped = await db.invalidateCache({ tags: ['tagged'] });
  console.log(`${dropped} of ${ENTRIES} entries dropped by tag in ${(performance.now() - start).toFixed(2)} ms`);
}

/** Readers of a Zipf distribution, and a writer: how many reads are hits, and whether any was older than the stream. */
async function measureTrace(/** @type {import('replicaverse/pg-multiverse').PgMultiverse} */ db) {
  const draw = zipf(KEYS, 1.0);
  const written = new Map();
  const end = performance.now() + TRACE_MS;
  const lags = /** @type {number[]} */ ([]);
  let [reads, writes, old] = [0, 0, 0];
  const before = db.getMetrics().cache;
  const reader = async () => {
    while (performance.now() < end) {
      const id = draw();
      const least = written.get(id);
      const { rows } = await db.query('SELECT n FROM item WHERE id = $1', [id], { cache: true });
      reads += 1;
      if (least !== undefined && rows[0].n < least.n) {
        const lag = performance.now() - least.at;
        lags.push(lag);
        if (lag > 1000) old += 1;
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
  const after = db.getMetrics().cache;
  const hits = (after?.hits ?? 0) - (before?.hits ?? 0);
  console.log(`Zipf trace: ${reads} reads, ${writes} writes, ${((100 * hits) / reads).toFixed(1)} % hits`);
  console.log(`reads older than a write that had been acknowledged: ${lags.length}, the oldest by ${Math.max(0, ...lags).toFixed(1)} ms; by more than a second: ${old}`);
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

/** @param {number[]} figures */
function median(figures) {
  return figures.toSorted((one, other) => one - other)[figures.length >> 1] ?? Number.NaN;
}
