// Caches in Redis: values of one's own, shared by processes, and what happens while Redis is gone.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import PgMultiverse, { CacheFactory, FallbackCache, RedisCache } from 'replicaverse/pg-multiverse';
import { Proxy, eventually, startPostgres, startRedis } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {Awaited<ReturnType<typeof startRedis>>} */
let redis;
beforeAll(async () => {
  [server, redis] = await Promise.all([startPostgres(), startRedis({ password: 'p"w' })]);
});
afterAll(() => Promise.all([server.remove(), redis.remove()]));

/** @type {{ close(): Promise<void> }[]} */
const opened = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((closable) => closable.close()));
  await redis.command('FLUSHALL');
});

const address = () => ({ host: '127.0.0.1', port: redis.port, password: 'p"w', keyPrefix: 'a*b:' });

/** @param {import('replicaverse/pg-multiverse').RedisConfig} [more] */
async function openCache(more) {
  const cache = new RedisCache({ provider: 'redis', redis: { ...address(), ...more } });
  cache.on('error', () => undefined);
  opened.push(cache);
  await eventually(() => cache.isHealthy());
  return cache;
}

/** @param {import('replicaverse/pg-multiverse').CacheConfig} [more] */
async function openDatabase(more) {
  const db = new PgMultiverse({ cache: { provider: 'redis', redis: address(), ...more } });
  db.on('error', () => undefined);
  opened.push(db);
  await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri) } });
  // Both the catalogue and Redis are there.
  await eventually(async () => {
    const { clusterId } = await db.query('SELECT 1 AS warm', [], { cache: true, tags: ['warm'] });
    return clusterId === 'main' && (db.getMetrics().cache?.hits ?? 0) > 2;
  });
  await db.invalidateCache({ tags: ['warm'] });
  return db;
}

describe('values in Redis', () => {
  it.each([
    ['json', 'none'],
    ['json', 'gzip'],
    ['msgpack', 'lz4'],
    ['msgpack', 'gzip'],
  ])('come back as %s with compression %s, also for readers with other settings', async (serialization, compression) => {
    const cache = await openCache({ serialization: /** @type {any} */ (serialization), compression: /** @type {any} */ (compression), compressionThreshold: 10 });
    const value = { text: 'é'.repeat(1_000), list: [1, null, { deep: true }], bytes: Buffer.from([0, 255]) };
    await cache.set('a', value);
    const other = await openCache();
    for (const reader of [cache, other]) {
      const read = /** @type {any} */ (await reader.get('a'));
      expect({ ...read, bytes: Buffer.from(read.bytes) }).toEqual(value);
    }
    expect(await other.get('b')).toBeNull();
  });

  it('are dropped by tag, schema, cluster and pattern, for all processes', async () => {
    const [one, two] = [await openCache(), await openCache()];
    await one.set('user:1', 1, { tags: ['users'], schema: 'shop', clusterId: 'us' });
    await one.set('user:2', 2, { tags: ['users', 'second'] });
    await two.set('item:1', 3, { tags: ['items'], clusterId: 'us', ttl: 0 });
    await two.set('item:2', 4);
    expect(await two.getMetadata('user:1')).toMatchObject({ tags: ['users'], schema: 'shop', clusterId: 'us' });
    expect(await two.invalidateByTags(['second', 'users'])).toBe(2);
    expect(await one.invalidateBySchema('shop')).toBe(0);
    expect(await one.invalidateByCluster('us')).toBe(1);
    expect(await one.invalidateByPattern(/^item/)).toBe(1);
    expect((await two.getStats()).itemCount).toBe(0);
    await one.set('x', 1);
    await redis.command('SET other 1');
    await two.clear();
    expect(await one.has('x')).toBe(false);
    expect(await redis.command('GET other')).toContain('1');
  });

  it('that are set anew are dropped by their new tags and schema, and not by those before', async () => {
    const [one, two] = [await openCache(), await openCache()];
    await one.set('a', 'old', { tags: ['draft'], schema: 'shop', clusterId: 'us' });
    await one.set('a', 'new', { tags: ['published'] });
    expect(await two.invalidateByTags(['draft'])).toBe(0);
    expect(await two.invalidateBySchema('shop')).toBe(0);
    expect(await two.invalidateByCluster('us')).toBe(0);
    expect(await two.get('a')).toBe('new');
    await one.set('a', 'again', { tags: ['draft'] });
    expect(await two.invalidateByTags(['draft'])).toBe(1);
  });

  it('are gone when their time is over', async () => {
    const cache = await openCache();
    await cache.set('a', 1, { ttl: 30 });
    await eventually(async () => !(await cache.has('a')));
    expect(await cache.delete('a')).toBe(false);
  });
});

describe('other forms of Redis', () => {
  it('a cluster holds values and results on all of its masters', async () => {
    const nodes = await Promise.all([0, 1].map(() => startRedis({ settings: ['cluster-enabled yes', 'cluster-node-timeout 5000'] })));
    try {
      const [one, two] = /** @type {[typeof redis, typeof redis]} */ (nodes);
      await one.command('CLUSTER ADDSLOTSRANGE 0 8191');
      await two.command('CLUSTER ADDSLOTSRANGE 8192 16383');
      await one.command(`CLUSTER MEET 127.0.0.1 ${two.port}`);
      for (const node of nodes) await eventually(async () => (await node.command('CLUSTER INFO')).includes('cluster_state:ok') && (await node.command('CLUSTER INFO')).includes('cluster_known_nodes:2'));
      const cluster = nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
      const cache = new RedisCache({ redis: { cluster } });
      cache.on('error', () => undefined);
      opened.push(cache);
      await eventually(() => cache.isHealthy());
      for (let at = 0; at < 50; at += 1) await cache.set(`k${at}`, at, { tags: ['all'] });
      for (const node of nodes) expect(await node.command('DBSIZE')).not.toBe(':0');
      expect((await cache.getStats()).itemCount).toBe(50);
      expect(await cache.get('k49')).toBe(49);
      expect(await cache.invalidateByTags(['all'])).toBe(50);
      const [first, second] = [await openDatabase({ redis: { cluster } }), await openDatabase({ redis: { cluster } })];
      await first.query('DROP TABLE IF EXISTS spread; CREATE TABLE spread (n int); INSERT INTO spread VALUES (1)');
      const ask = async (/** @type {PgMultiverse} */ db, /** @type {number} */ at) => (await db.query('SELECT n + $1::int AS n FROM spread', [at], { cache: true, tags: ['spread'] })).rows[0].n;
      for (let at = 0; at < 10; at += 1) expect([await ask(first, at), await ask(second, at)]).toEqual([at + 1, at + 1]);
      await first.query('UPDATE spread SET n = 2');
      await first.invalidateCache({ tags: ['spread'] });
      for (let at = 0; at < 10; at += 1) await eventually(async () => (await ask(second, at)) === at + 2);
    } finally {
      await Promise.all(nodes.map((node) => node.remove()));
    }
  });

  it('sentinels tell where the master is', async () => {
    const sentinel = await startRedis({ isSentinel: true, settings: [`sentinel monitor main 127.0.0.1 ${redis.port} 1`, 'sentinel auth-pass main "p\\"w"'] });
    try {
      const cache = new RedisCache({ redis: { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], sentinelName: 'main', password: 'p"w', keyPrefix: 's:' } });
      cache.on('error', () => undefined);
      opened.push(cache);
      await eventually(() => cache.isHealthy());
      await cache.set('a', 1);
      expect(await redis.command('EXISTS s:e:a')).toBe(':1');
    } finally {
      await sentinel.remove();
    }
  });
});

describe('a fallback', () => {
  it('takes over while Redis is gone, and brings to it what was changed meanwhile', async () => {
    const own = await startRedis();
    try {
      const cache = CacheFactory.getInstance().createProviderWithFallback({ provider: 'redis', redis: { host: '127.0.0.1', port: own.port, commandTimeout: 500 }, fallback: { enabled: true } });
      opened.push(cache);
      if (!(cache instanceof FallbackCache)) throw new Error('there is a fallback');
      await eventually(() => cache.usesRedis);
      await cache.set('kept', 1, { tags: ['t'] });
      await own.stop();
      await eventually(() => !cache.usesRedis);
      expect(await cache.get('kept')).toBeNull();
      await cache.set('meanwhile', 2);
      expect(await cache.get('meanwhile')).toBe(2);
      await cache.invalidateByTags(['t']);
      // Memory keeps what JSON cannot hold.
      await cache.set('big', 5n);
      expect(await cache.get('big')).toBe(5n);
      await expect(cache.invalidateByPattern('(')).rejects.toMatchObject({ code: 'ERR_CONFIG' });
      await own.start();
      await own.command('SET unrelated 1');
      await eventually(() => cache.usesRedis);
      const plain = new RedisCache({ redis: { host: '127.0.0.1', port: own.port } });
      opened.push(plain);
      expect(await eventually(() => plain.get('meanwhile'))).toBe(2);
      expect(await plain.get('kept')).toBeNull();
    } finally {
      await own.remove();
    }
  });

  it('does not take over for what its caller has done wrong', async () => {
    const cache = new FallbackCache({ provider: 'redis', redis: address(), fallback: { enabled: true } });
    opened.push(cache);
    await eventually(() => cache.usesRedis);
    await cache.set('a', 1);
    await expect(cache.invalidateByPattern('(')).rejects.toMatchObject({ kind: 'Config', code: 'ERR_CONFIG' });
    await expect(cache.set('a', { id: 5n })).rejects.toMatchObject({ kind: 'Value', code: 'ERR_VALUE' });
    expect(cache.usesRedis).toBe(true);
    const other = await openCache();
    expect(await other.get('a')).toBe(1);
    await cache.set('a', 2);
    expect(await other.get('a')).toBe(2);
  });
});

describe('results of queries in Redis', () => {
  it('are shared by processes, with the values of the query itself', async () => {
    const [one, two] = [await openDatabase(), await openDatabase({ redis: { ...address(), serialization: 'msgpack', compression: 'lz4' } })];
    const sql = `SELECT 1 AS int, timestamptz '2024-02-29 12:00Z' AS instant, '\\x00'::bytea AS bytes, 2::int8 AS big, clock FROM (SELECT max(n) AS clock FROM generate_series(1, 10) n) s`;
    const plain = await one.query(sql);
    const options = { cache: true, tags: ['shared'] };
    await two.query(sql, [], options);
    await eventually(async () => (await redis.command('DBSIZE')) !== ':0');
    const before = one.getMetrics().cache;
    await eventually(async () => {
      expect(await one.query(sql, [], options)).toEqual(plain);
      return (one.getMetrics().cache?.hits ?? 0) > (before?.hits ?? 0);
    });
  });

  it('that one process invalidates are gone for all', async () => {
    const [one, two] = [await openDatabase(), await openDatabase()];
    await one.query('DROP TABLE IF EXISTS shared; CREATE TABLE shared (n int); INSERT INTO shared VALUES (1)');
    const ask = async (/** @type {PgMultiverse} */ db) => (await db.query('SELECT n FROM shared', [], { cache: true, tags: ['shared'] })).rows[0].n;
    for (let round = 1; round <= 20; round += 1) {
      await eventually(async () => (await ask(one)) === round && (await ask(two)) === round);
      // Both have it near by now, or at least in Redis.
      await ask(one);
      await ask(two);
      await two.query('UPDATE shared SET n = n + 1');
      await two.invalidateCache({ tags: ['shared'] });
      expect(await ask(two)).toBe(round + 1);
      await eventually(async () => (await ask(one)) === round + 1);
    }
  });

  it('of a cluster whose definitions one process changes are gone for all', async () => {
    const [one, two] = [await openDatabase(), await openDatabase()];
    await one.query('DROP TABLE IF EXISTS widened; CREATE TABLE widened (n int); INSERT INTO widened VALUES (1)');
    const ask = async (/** @type {PgMultiverse} */ db) => (await db.query('SELECT * FROM widened', [], { cache: true })).rows[0];
    await eventually(async () => {
      const before = two.getMetrics().cache?.hits ?? 0;
      expect(await ask(two)).toEqual({ n: 1 });
      return (two.getMetrics().cache?.hits ?? 0) > before;
    });
    await one.query("ALTER TABLE widened ADD COLUMN more text DEFAULT 'new'");
    await eventually(async () => expect([await ask(one), await ask(two)]).toEqual([{ n: 1, more: 'new' }, { n: 1, more: 'new' }]));
  });

  it('go on while Redis is killed and started again under load, and are never older than an invalidation', async () => {
    const own = await startRedis();
    const config = { redis: { host: '127.0.0.1', port: own.port, commandTimeout: 500 }, fallback: { enabled: true } };
    try {
      const db = await openDatabase(config);
      await db.query('DROP TABLE IF EXISTS loaded; CREATE TABLE loaded (n int); INSERT INTO loaded VALUES (1)');
      let isOver = false;
      let answered = 0;
      let newest = 1;
      const ask = async () => {
        while (!isOver) {
          const least = newest;
          const { rows } = await db.query('SELECT n FROM loaded', [], { cache: true, tags: ['loaded'] });
          expect(rows[0].n).toBeGreaterThanOrEqual(least);
          answered += 1;
        }
      };
      const write = async () => {
        while (!isOver) {
          await db.query('UPDATE loaded SET n = n + 1');
          await db.invalidateCache({ tags: ['loaded'] });
          newest += 1;
        }
      };
      const load = Promise.all([ask(), ask(), ask(), ask(), write()]);
      for (let round = 0; round < 3; round += 1) {
        const before = answered;
        await eventually(() => answered > before + 50);
        await own.kill();
        const during = answered;
        await eventually(() => answered > during + 50);
        await own.start();
      }
      isOver = true;
      await load;
    } finally {
      await own.remove();
    }
  });

  it('go on when the connection for the news is lost as it is made again, with no rejection that nobody hears', async () => {
    /** @type {unknown[]} */
    const unheard = [];
    const hear = (/** @type {unknown} */ reason) => void unheard.push(reason);
    process.on('unhandledRejection', hear);
    const way = await Proxy.start(redis.port);
    try {
      const db = await openDatabase({ redis: { ...address(), port: way.port } });
      const hits = () => db.getMetrics().cache?.hits ?? 0;
      way.cutAt('subscribe');
      await redis.command('CLIENT KILL TYPE pubsub');
      await eventually(() => way.refusals > 1);
      way.heal();
      await eventually(async () => {
        const before = hits();
        await db.query('SELECT 1 AS warm', [], { cache: true, tags: ['warm'] });
        return hits() > before;
      });
      expect(unheard).toEqual([]);
    } finally {
      process.off('unhandledRejection', hear);
      await way.stop();
    }
  });
});
