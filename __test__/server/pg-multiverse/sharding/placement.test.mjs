// The shard of a key is the partition in which PostgreSQL's hash partitioning puts it, for every type of key.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SHARDS, ShardedShop } from './sharded-shop.mjs';

/** Types, and expressions of SQL for values of them by a number `i`. @type {[string, string][]} */
const TYPES = [
  ['int2', '((i * 7919) % 65536 - 32768)::int2'],
  ['int4', '(hashint4(i))'],
  ['int8', 'hashint8extended(i, 5)'],
  ['text', "md5(i::text) || repeat('ä', i % 7)"],
  ['varchar', "left(md5(i::text), i % 32)::varchar"],
  ['uuid', 'md5(i::text)::uuid'],
  ['bytea', "decode(left(md5(i::text), (i % 17) * 2), 'hex')"],
  ['bool', '(i % 2 = 0)'],
  ['date', "('2000-01-01'::date + hashint4(i) % 700000)"],
  ['timestamp', "('2000-01-01'::timestamp + (hashint8extended(i, 1) % 60000000000000000) * '1 microsecond'::interval)"],
  ['timestamptz', "('2000-01-01Z'::timestamptz + (hashint8extended(i, 2) % 60000000000000000) * '1 microsecond'::interval)"],
  ['numeric', '(hashint8extended(i, 3)::numeric / (10::numeric ^ (i % 30)))'],
  ['float4', '(hashint4(i)::float4 / 1000)'],
  ['float8', '(hashint8extended(i, 4)::float8 / 1e9)'],
];
const COUNT = 80;

/** @type {ShardedShop} */
let shop;
/** @type {Awaited<ReturnType<ShardedShop['open']>>} */
let db;
beforeAll(async () => {
  shop = await ShardedShop.start(TYPES.map(([type]) => `CREATE TABLE of_${type} (k ${type}, i int); CREATE TABLE parted_${type} (k ${type}) PARTITION BY HASH (k);`).join('\n'));
  db = await shop.open({ key: 'k' });
});
afterAll(async () => {
  await db.close();
  await shop.remove();
});

it.each(TYPES)('%s', async (type, expression) => {
  // As the server writes the values: dates and times as ISO 8601 does.
  const { rows } = await db.query(`SELECT (${expression})::text AS k, i FROM generate_series(1, ${COUNT}) AS i`, [], { clusterId: 'whole' });
  const placed = await Promise.all(rows.map(({ k, i }) => db.query(`INSERT INTO of_${type} VALUES ($1, $2)`, [k, i])));
  if (type !== 'bool') expect(new Set(placed.map(({ clusterId }) => clusterId)).size).toBe(SHARDS);
  await db.query(`INSERT INTO of_${type} VALUES (NULL, 0)`);
  const right = Array.from({ length: SHARDS }, async (_, number) => {
    const sql = `SELECT COALESCE(bool_and(satisfies_hash_partition('parted_${type}'::regclass, ${SHARDS}, ${number}, k)), true) AS ok FROM of_${type}`;
    return (await db.query(sql, [], { clusterId: `main/${number}` })).rows[0].ok;
  });
  expect(await Promise.all(right)).toEqual(Array.from({ length: SHARDS }, () => true));
  const found = await Promise.all(rows.map(({ k }) => db.query(`SELECT i FROM of_${type} WHERE k = $1`, [k])));
  found.forEach((result, at) => expect(result.rows).toContainEqual({ i: at + 1 }));
});

it('is what the servers count, too', async () => {
  const check = await db.checkShards('main');
  expect(check.misplaced).toBe(0);
  const rows = (/** @type {string} */ type) => check.tables.filter(({ table }) => table === `of_${type}`).reduce((sum, each) => sum + each.rows, 0);
  expect(TYPES.map(([type]) => rows(type))).toEqual(TYPES.map(() => COUNT + 1));
});
