// Tables that change under a sharded cluster: no row is misplaced, and nothing is answered by what tables were.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually } from '../../../support/index.mjs';
import { migration, silent } from '../migrations/folder.mjs';
import { ShardedShop } from './sharded-shop.mjs';

/** @type {ShardedShop} */
let shop;
/** @type {Awaited<ReturnType<ShardedShop['open']>>} */
let db;
beforeAll(async () => {
  shop = await ShardedShop.start('CREATE TABLE other (user_id int, id int)');
  db = await shop.open();
});
afterAll(async () => {
  await db.close();
  await shop.remove();
});

const misplaced = async () => (await db.checkShards('main')).misplaced;

describe('another process', () => {
  it('swaps columns, and no row of an INSERT without names is misplaced', async () => {
    await shop.askAll('CREATE TABLE swapped (id int, user_id int)');
    await db.query('INSERT INTO swapped VALUES (100, 1)');
    await shop.askAll('DROP TABLE swapped; CREATE TABLE swapped (user_id int, id int)');
    const users = Array.from({ length: 20 }, (_, at) => at + 1);
    await Promise.all(users.map((user) => db.query('INSERT INTO swapped VALUES ($1, $2)', [100 + user, user])));
    await db.query(`INSERT INTO swapped VALUES ${users.map((user) => `(${200 + user}, ${user})`).join(', ')}`);
    expect(await misplaced()).toBe(0);
    expect((await db.query('SELECT count(*)::int AS n FROM swapped')).rows).toEqual([{ n: 40 }]);
  });

  it('drops and adds columns, and statements are planned anew at once', async () => {
    await shop.askAll('CREATE TABLE shrunk (id int, user_id int, n int)');
    await db.query('INSERT INTO shrunk VALUES (1, 1, 1)');
    await shop.askAll('ALTER TABLE shrunk DROP COLUMN id');
    // By what is remembered the second value would be the key.
    await eventually(async () => {
      await db.query('INSERT INTO shrunk VALUES (7, 8)');
      expect((await db.query('SELECT n FROM shrunk WHERE user_id = 7')).rows[0]).toEqual({ n: 8 });
      return true;
    });
    expect(await misplaced()).toBe(0);
    await shop.askAll('ALTER TABLE shrunk ADD COLUMN extra text');
    expect(await db.query("INSERT INTO shrunk VALUES (9, 10, 'x') RETURNING *")).toMatchObject({ rows: [{ user_id: 9, n: 10, extra: 'x' }] });
    expect((await db.query("SELECT n FROM shrunk WHERE extra = 'x'")).rows).toEqual([{ n: 10 }]);
  });

  it('is noticed within seconds where nothing fails', async () => {
    await shop.askAll('CREATE TABLE renamed (a int, user_id int)');
    await db.query('INSERT INTO renamed VALUES (1, 1)');
    await shop.askAll('ALTER TABLE renamed RENAME user_id TO b; ALTER TABLE renamed RENAME a TO user_id; TRUNCATE renamed');
    await eventually(async () => {
      await db.query('SELECT 1 FROM renamed');
      const { rows } = await db.query('INSERT INTO renamed VALUES (5, 6) RETURNING user_id, b');
      expect(rows).toEqual([{ user_id: 5, b: 6 }]);
      return true;
    });
    expect(await misplaced()).toBe(0);
  });
});

it('shards whose columns stand in another order do not mix them up', async () => {
  const [first, ...others] = ['a int, b int, user_id int', ...Array.from({ length: 3 }, () => 'b int, a int, user_id int')];
  await shop.ask(0, `CREATE TABLE turned (${first})`);
  await Promise.all(others.map((columns, at) => shop.ask(at + 1, `CREATE TABLE turned (${columns})`)));
  const users = Array.from({ length: 20 }, (_, at) => at + 1);
  await Promise.all(users.map((user) => db.query('INSERT INTO turned (a, b, user_id) VALUES (1, 2, $1)', [user])));
  const { rows } = await db.query('SELECT a, b FROM turned');
  expect(rows).toEqual(users.map(() => ({ a: 1, b: 2 })));
  await expect(db.query('SELECT * FROM turned')).rejects.toThrow('columns in another order or of other names');
});

describe('this process', () => {
  const swap = ['ALTER TABLE own RENAME user_id TO c', 'ALTER TABLE own RENAME a TO user_id', 'ALTER TABLE own RENAME c TO a'];

  it('changes tables in a transaction, which is known from its commit on', async () => {
    await db.query('CREATE TABLE own (a int, user_id int)');
    await db.query('INSERT INTO own VALUES (1, 2)');
    await db.query('DELETE FROM own');
    await db.withTransaction('public', async (tx) => {
      for (const sql of swap) await tx.query(sql);
    });
    expect((await db.query('INSERT INTO own VALUES (3, 4) RETURNING a, user_id')).rows).toEqual([{ a: 4, user_id: 3 }]);
    expect(await misplaced()).toBe(0);
  });

  it('changes tables on single shards, which is known, too', async () => {
    await db.query('DELETE FROM own');
    for (let number = 0; number < 4; number += 1) {
      for (const sql of swap) await db.query(sql, [], { clusterId: `main/${number}` });
    }
    expect((await db.query('INSERT INTO own VALUES (3, 4) RETURNING a, user_id')).rows).toEqual([{ a: 3, user_id: 4 }]);
    expect(await misplaced()).toBe(0);
  });

  it('changes tables by migrations, which is known when they have run', async () => {
    await db.query('DELETE FROM own');
    const own = new PgMultiverse({ enableMigrations: true, migrations: { migrationsPath: '/nonexistent', logger: silent } });
    await own.initialize(shop.clusters());
    try {
      await own.query('INSERT INTO own VALUES (5, 6)');
      await own.query('DELETE FROM own');
      own.addMigration(migration('20260101000000_swap', swap.join('; '), { targetSchemas: ['public'] }));
      await own.migrate();
      expect((await own.query('INSERT INTO own VALUES (3, 4) RETURNING a, user_id')).rows).toEqual([{ a: 4, user_id: 3 }]);
      expect(await misplaced()).toBe(0);
    } finally {
      await own.close();
    }
  });
});

describe('functions', () => {
  it('that read tables are refused also where the key is said, others run there', async () => {
    await shop.askAll(`CREATE FUNCTION total_of(int) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(id) FROM other WHERE user_id = $1';
      CREATE FUNCTION twice_total(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 2 * total_of($1); END';
      CREATE FUNCTION atomic_total(int) RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT total_of($1); END;
      CREATE FUNCTION doubled(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';
      CREATE FUNCTION dice() RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN floor(random() * 6); END';
      CREATE FUNCTION total(other) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(id) FROM other'`);
    await db.query('INSERT INTO other VALUES (1, 10), (2, 20), (3, 30)');
    await eventually(async () => {
      await expect(db.query('SELECT total_of(2) FROM other WHERE user_id = 1')).rejects.toMatchObject({ code: 'ERR_SHARD_UNMERGEABLE' });
      return true;
    });
    for (const sql of [
      'SELECT twice_total(2) FROM other WHERE user_id = 1',
      'SELECT atomic_total(2) FROM other WHERE user_id = 1',
      'SELECT o.total FROM other o WHERE user_id = 1',
      'SELECT id FROM other WHERE id = total_of(user_id)',
      'UPDATE other SET id = total_of(2) WHERE user_id = 1',
      'INSERT INTO other VALUES (1, total_of(2))',
    ]) {
      await expect(db.query(sql), sql).rejects.toMatchObject({ code: 'ERR_SHARD_UNMERGEABLE' });
    }
    expect((await db.query('SELECT total_of(2) AS sum FROM other WHERE user_id = 2', [], { shardKey: 2 })).rows).toEqual([{ sum: '20' }]);
    expect((await db.query('SELECT doubled(id) AS n FROM other ORDER BY n')).rows).toEqual([{ n: 20 }, { n: 40 }, { n: 60 }]);
    expect((await db.query('SELECT dice() AS n FROM other WHERE user_id = 1')).rows).toHaveLength(1);
    await expect(db.query('SELECT dice() AS n FROM other')).rejects.toMatchObject({ code: 'ERR_SHARD_UNMERGEABLE' });
  });
});

describe('pgm shard check', () => {
  it('counts the other tables where one cannot be counted, and says why', async () => {
    await shop.askAll('CREATE TABLE fixed (user_id numeric(5, 1)); CREATE TABLE hollow (user_id int)');
    await shop.ask(1, 'DROP TABLE hollow');
    const { tables, uncounted } = await db.checkShards('main');
    expect(tables.some(({ table }) => table === 'other')).toBe(true);
    expect(uncounted).toEqual([
      { schema: 'public', table: 'fixed', reason: 'the column user_id has a type that no shard key can have' },
      { schema: 'public', table: 'hollow', reason: 'relation "public.hollow" does not exist' },
    ]);
    await shop.askAll('DROP TABLE fixed; DROP TABLE IF EXISTS hollow');
  });

  it('counts the rows of a table with partitions once', async () => {
    await db.query('CREATE TABLE parted (user_id int, day int) PARTITION BY RANGE (day)');
    await db.query('CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)');
    await db.query('CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20)');
    await db.query('INSERT INTO parted VALUES (1, 1), (2, 11), (3, 2), (4, 12)');
    const { tables } = await db.checkShards('main');
    const counts = tables.filter(({ table }) => table.startsWith('parted')).map(({ table, rows }) => [table, rows]);
    expect(new Set(counts.map(([table]) => table))).toEqual(new Set(['parted']));
    expect(counts.reduce((sum, [, rows]) => sum + Number(rows), 0)).toBe(4);
  });
});
