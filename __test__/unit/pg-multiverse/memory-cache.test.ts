// The cache in memory: values of one's own, bounds, times, tags, events.
import { expect, test } from 'vitest';
import { CacheFactory } from '../../../dist/pg-multiverse/cache/cache-factory.js';
import { MemoryCache } from '../../../dist/pg-multiverse/cache/memory-cache.js';
import type { CacheConfig } from '../../../dist/pg-multiverse/cache/config.js';

function clocked(config: CacheConfig = {}) {
  const clock = { now: 1_000_000 };
  const cache = new MemoryCache(config, () => clock.now);
  const gone: [string, string][] = [];
  cache.on('eviction', ({ key, reason }) => gone.push([key, reason]));
  return { cache, clock, gone };
}

test('whoever gets a value gets one of their own, with its types', async () => {
  const { cache } = clocked();
  const value = { date: new Date(5), bytes: Buffer.from('x'), map: new Map([[1, { deep: [1n] }]]), missing: undefined };
  await cache.set('a', value);
  value.date.setTime(9);
  const first = (await cache.get<typeof value>('a')) as typeof value;
  expect(first).toEqual({ ...value, date: new Date(5) });
  expect(Buffer.isBuffer(first.bytes)).toBe(true);
  first.map.clear();
  expect((await cache.get<typeof value>('a'))?.map.size).toBe(1);
  expect(await cache.get('b')).toBeNull();
});

test('a value is gone when its time is over', async () => {
  const { cache, clock, gone } = clocked({ ttl: 100 });
  await cache.set('a', 1);
  await cache.set('b', 2, { ttl: 1000 });
  await cache.set('c', 3, { ttl: 0 });
  clock.now += 100;
  expect([await cache.get('a'), await cache.get('b'), await cache.has('c')]).toEqual([null, 2, true]);
  clock.now += 1e12;
  expect([await cache.get('b'), await cache.get('c')]).toEqual([null, 3]);
  expect(gone).toEqual([['a', 'ttl'], ['b', 'ttl']]);
});

test.each([
  ['lru', 'b'],
  ['lfu', 'b'],
  ['fifo', 'a'],
] as const)('under %s the right value goes first', async (strategy, first) => {
  const { cache, gone } = clocked({ maxSize: 3, strategy });
  for (const key of ['a', 'b', 'c']) await cache.set(key, key);
  for (const key of ['c', 'c', 'b', 'a', 'a', 'c']) if (strategy !== 'lru' || key !== 'b') await cache.get(key);
  await cache.set('d', 'd');
  expect(gone).toEqual([[first, 'size']]);
  expect((await cache.getStats()).evictions).toBe(1);
});

test('values are dropped by tag, schema, cluster and pattern, each once', async () => {
  const { cache, gone } = clocked();
  await cache.set('user:1', 1, { tags: ['users', 'one', 'users'], schema: 'shop', clusterId: 'us' });
  await cache.set('user:2', 2, { tags: ['users'], schema: 'shop', clusterId: 'eu' });
  await cache.set('item:1', 3, { tags: ['items'], schema: 'stock', clusterId: 'us' });
  await cache.set('item:2', 4);
  expect(await cache.invalidateByTags(['one', 'users'])).toBe(2);
  expect(await cache.invalidateBySchema('shop')).toBe(0);
  expect(await cache.invalidateByCluster('us')).toBe(1);
  await expect(cache.invalidateByPattern('*')).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('users:.*') as unknown });
  expect(await cache.invalidateByPattern(/^item:\d$/g)).toBe(1);
  expect((await cache.getStats()).itemCount).toBe(0);
  expect(gone.every(([, reason]) => reason === 'manual')).toBe(true);
});

test('a replaced value keeps nothing of the one before', async () => {
  const { cache } = clocked({ enableCompression: true, compressionThreshold: 100 });
  await cache.set('a', 'x'.repeat(10_000), { tags: ['old'] });
  expect((await cache.getStats()).compressionRatio).toBeGreaterThan(5);
  expect(await cache.get('a')).toBe('x'.repeat(10_000));
  await cache.set('a', 1, { tags: ['new'] });
  expect(await cache.invalidateByTags(['old'])).toBe(0);
  expect((await cache.getMetadata('a'))?.tags).toEqual(['new']);
  expect(await cache.delete('a')).toBe(true);
  expect(await cache.delete('a')).toBe(false);
  expect((await cache.getStats()).totalSize).toBe(0);
});

test('bytes are bounded, and what is larger than all the room is not kept', async () => {
  const { cache } = clocked({ maxBytes: 5_000 });
  await cache.set('large', 'x'.repeat(6_000));
  expect(await cache.has('large')).toBe(false);
  for (let at = 0; at < 20; at += 1) await cache.set(`k${at}`, 'x'.repeat(1_000));
  const stats = await cache.getStats();
  expect(stats.totalSize).toBeLessThanOrEqual(5_000);
  expect(stats.itemCount).toBe(4);
});

test('events and figures tell of hits and misses', async () => {
  const { cache } = clocked();
  const told: unknown[] = [];
  for (const event of ['hit', 'miss', 'delete'] as const) cache.on(event, ({ key }) => told.push([event, key]));
  await cache.get('a');
  await cache.set('a', 1);
  await cache.get('a');
  await cache.delete('a');
  expect(told).toEqual([['miss', 'a'], ['hit', 'a'], ['delete', 'a']]);
  expect(await cache.getStats()).toMatchObject({ hits: 1, misses: 1, hitRate: 0.5, itemCount: 0 });
});

test('the factory refuses what cannot be used, and says what', () => {
  const factory = CacheFactory.getInstance();
  expect(CacheFactory.getInstance()).toBe(factory);
  expect(factory.createProvider({ provider: 'memory' })).toBeInstanceOf(MemoryCache);
  expect(factory.validateConfig({ strategy: 'mru' as never, maxSize: 0, redis: { compression: 'zip' as never } })).toEqual({
    valid: false,
    errors: ['strategy: expected lru, lfu, fifo', 'maxSize: expected a number from 1', 'redis.compression: expected none, gzip, lz4'],
    warnings: [],
  });
  expect(() => factory.createProvider({ ttl: -1 })).toThrow('cache: ttl: expected a number from 0');
});
