// Statements on a sharded cluster: to the shard of their key, to several with their results merged, or refused.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually } from '../../../support/index.mjs';
import { pgm } from '../migrations/pgm-process.mjs';
import { withFolder } from '../migrations/folder.mjs';
import { SHARDS, ShardedShop } from './sharded-shop.mjs';

const SCHEMA = `
  CREATE TABLE orders (user_id int NOT NULL, id int NOT NULL, amount int, note text, at timestamptz DEFAULT '2024-01-01', PRIMARY KEY (user_id, id));
  CREATE TABLE items (user_id int NOT NULL, order_id int, name text);
  CREATE TABLE country (code text PRIMARY KEY);
`;

/** @type {ShardedShop} */
let shop;
/** @type {Awaited<ReturnType<ShardedShop['open']>>} */
let db;
beforeAll(async () => {
  shop = await ShardedShop.start(SCHEMA);
  db = await shop.open();
});
afterAll(async () => {
  await db.close();
  await shop.remove();
});
beforeEach(async () => {
  await shop.askAll('TRUNCATE orders, items');
});

/** One row for each user from 1. @param {number} count */
async function fill(count) {
  const values = Array.from({ length: count }, (_, at) => `(${at + 1}, ${at + 1}, ${at * 10}, 'note ${at}')`).join(', ');
  return db.query(`INSERT INTO orders (user_id, id, amount, note) VALUES ${values}`);
}

describe('a statement with its shard key', () => {
  it('runs on the shard of the key, whatever way the value is given', async () => {
    const inserted = await db.query('INSERT INTO orders (id, user_id) VALUES ($1, $2) RETURNING user_id', [1, 42]);
    expect(inserted.rows).toEqual([{ user_id: 42 }]);
    const shard = inserted.clusterId;
    expect(shard).toMatch(/^main\/[0-3]$/);
    for (const [sql, params] of /** @type {[string, unknown[]][]} */ ([
      ['SELECT id FROM orders WHERE user_id = $1', [42]],
      ['SELECT id FROM orders WHERE user_id = $1', ['42']],
      ['SELECT id FROM orders WHERE user_id = 42', []],
      ['SELECT id FROM orders o WHERE user_id = ANY($1)', [[42]]],
      ['SELECT id FROM public.orders WHERE user_id IN ($1)', [42]],
    ])) {
      expect(await db.query(sql, params)).toMatchObject({ rows: [{ id: 1 }], clusterId: shard });
    }
    expect(await db.query('UPDATE orders SET amount = 5 WHERE user_id = $1', [42])).toMatchObject({ rowCount: 1, clusterId: shard });
    expect(await db.query('SELECT amount FROM orders', [], { shardKey: 42 })).toMatchObject({ rows: [{ amount: 5 }], clusterId: shard });
    expect((await shop.askAll('SELECT count(*) FROM orders')).filter((count) => count === '1')).toHaveLength(1);
    expect(await db.query('DELETE FROM orders WHERE user_id = 42')).toMatchObject({ rowCount: 1, clusterId: shard });
  });

  it('lies where hash partitioning would have put it', async () => {
    await fill(50);
    for (let number = 0; number < SHARDS; number += 1) {
      await shop.ask(number, `DROP TABLE IF EXISTS parted; CREATE TABLE parted (user_id int) PARTITION BY HASH (user_id)`);
      const right = await shop.ask(number, `SELECT bool_and(satisfies_hash_partition('parted'::regclass, ${SHARDS}, ${number}, user_id)) FROM orders`);
      expect(right).toBe('t');
      expect(Number(await shop.ask(number, 'SELECT count(*) FROM orders'))).toBeGreaterThan(0);
    }
  });

  it('has a connection of its own shard only', async () => {
    await expect(db.getConnection({ clusterId: 'main' })).rejects.toMatchObject({ code: 'ERR_SHARD_KEY_REQUIRED' });
    const client = await db.getConnection({ schema: 'public', shardKey: '42' });
    try {
      expect((await db.query('SELECT 1 FROM orders WHERE user_id = 42')).clusterId).toBe(client._clusterMetadata.clusterId);
    } finally {
      client.release();
    }
  });

  it('is streamed', async () => {
    await fill(3);
    const rows = [];
    for await (const row of db.queryStream('SELECT id FROM orders WHERE user_id = 2')) rows.push(row);
    for await (const row of db.queryStream('SELECT id FROM orders ORDER BY id')) rows.push(row);
    expect(rows.map(({ id }) => id)).toEqual([2, 1, 2, 3]);
  });
});

describe('a statement without it', () => {
  it('gives all rows from an offset on where LIMIT and OFFSET together are more than there are numbers', async () => {
    await fill(4);
    const all = [{ id: 2 }, { id: 3 }, { id: 4 }];
    expect((await db.query('SELECT id FROM orders ORDER BY id LIMIT 2147483647 OFFSET 1')).rows).toEqual(all);
    expect((await db.query('SELECT id FROM orders ORDER BY id LIMIT 9223372036854775807 OFFSET 1')).rows).toEqual(all);
    expect((await db.query('SELECT id FROM orders ORDER BY id LIMIT $1 OFFSET $2', ['9223372036854775807', 1])).rows).toEqual(all);
    expect((await db.query('SELECT id FROM orders ORDER BY id LIMIT $1 OFFSET $2', [2, 1])).rows).toEqual(all.slice(0, 2));
  });

  it('orders single bytes as a server does', async () => {
    await fill(4);
    const { rows } = await db.query(`SELECT id FROM orders ORDER BY ((ARRAY['\\377', 'a', 'Z', 'b'])[id])::"char"`);
    expect(rows).toEqual([{ id: 3 }, { id: 2 }, { id: 4 }, { id: 1 }]);
  });

  it('is merged from all shards', async () => {
    expect(await fill(20)).toMatchObject({ rowCount: 20, command: 'INSERT', clusterId: 'main' });
    // The first time values come as text, afterwards in binary form.
    for (let turn = 0; turn < 3; turn += 1) {
      const page = await db.query('SELECT id, at FROM orders WHERE amount >= $1 ORDER BY id DESC LIMIT $2 OFFSET $3', [50, 3, 2]);
      expect(page).toMatchObject({ rowCount: 3, command: 'SELECT', clusterId: 'main' });
      expect(page.rows).toEqual([18, 17, 16].map((id) => ({ id, at: new Date('2024-01-01') })));
      const figures = await db.query('SELECT count(*)::int, sum(amount), avg(amount), min(at), max(note COLLATE "C") AS last FROM orders');
      expect(figures.rows).toEqual([{ count: 20, sum: '1900', avg: '95.0000000000000000', min: new Date('2024-01-01'), last: 'note 9' }]);
    }
    const groups = await db.query('SELECT amount % 20 AS odd, count(*) FROM orders GROUP BY 1 ORDER BY 2, 1 DESC');
    expect(groups.rows).toEqual([{ odd: 10, count: '10' }, { odd: 0, count: '10' }]);
    expect((await db.query('SELECT DISTINCT amount % 20 AS odd FROM orders ORDER BY odd')).rows).toEqual([{ odd: 0 }, { odd: 10 }]);
    expect((await db.query('SELECT id FROM orders WHERE user_id IN (3, 5, 700) ORDER BY id')).rows).toEqual([{ id: 3 }, { id: 5 }]);
    expect((await db.query('SELECT count(*) FROM orders WHERE user_id = NULL')).rows).toEqual([{ count: '0' }]);
  });

  it('changes rows on all shards, or on none', async () => {
    await fill(20);
    expect(await db.query('UPDATE orders SET amount = amount + $1', [1])).toMatchObject({ rowCount: 20, command: 'UPDATE', clusterId: 'main' });
    const deleted = await db.query('DELETE FROM orders WHERE id > 15 RETURNING id');
    expect(deleted.rows.map(({ id }) => id).sort()).toEqual([16, 17, 18, 19, 20]);
    await expect(db.query('UPDATE orders SET amount = 1 / (amount - 101)')).rejects.toMatchObject({ code: '22012' });
    expect((await db.query('SELECT count(*)::int AS n FROM orders WHERE amount > 0')).rows).toEqual([{ n: 15 }]);
    await expect(fill(20)).rejects.toMatchObject({ code: '23505' });
    expect((await db.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual([{ n: 15 }]);
  });

  it('is refused where it cannot be merged exactly, with the reason', async () => {
    for (const [sql, code] of [
      ['SELECT count(DISTINCT amount) FROM orders', 'ERR_SHARD_UNMERGEABLE'],
      ['SELECT * FROM orders ORDER BY note', 'ERR_SHARD_UNMERGEABLE'],
      ['SELECT * FROM orders o JOIN items i ON o.id = i.order_id', 'ERR_SHARD_UNMERGEABLE'],
      ['SELECT code FROM country', 'ERR_SHARD_TABLE'],
      ['INSERT INTO orders (id) VALUES (1)', 'ERR_SHARD_KEY_REQUIRED'],
      ['UPDATE orders SET user_id = 1', 'ERR_SHARD_KEY_UPDATE'],
      ["SELECT * FROM orders WHERE user_id = 'x'::text::int", ''],
    ]) {
      const query = db.query(/** @type {string} */ (sql));
      await expect(query).rejects.toMatchObject(code === '' ? { code: '22P02' } : { code, name: 'ReplicaverseError' });
    }
    await expect(db.query('SELECT * FROM orders WHERE user_id = $1', ['x'])).rejects.toMatchObject({ code: 'ERR_SHARD_KEY_VALUE' });
  });

  it('can be cancelled', async () => {
    await fill(8);
    const running = async () => Number(await shop.ask(0, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(60)%'"));
    const controller = new AbortController();
    const query = db.query('SELECT pg_sleep(60), id FROM orders', [], { signal: controller.signal });
    await eventually(async () => expect(await running()).toBeGreaterThan(1));
    controller.abort(new Error('enough'));
    await expect(query).rejects.toThrow('enough');
    await eventually(async () => expect(await running()).toBe(0));
  });

  it('defines tables on all shards, which are known at once', async () => {
    await db.query('CREATE TABLE visits (user_id bigint, n int)');
    expect(await db.query('INSERT INTO visits VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)')).toMatchObject({ rowCount: 5 });
    expect((await db.query('SELECT sum(n) FROM visits')).rows).toEqual([{ sum: '15' }]);
    await db.query('DROP TABLE visits');
    await expect(db.query('SELECT * FROM visits')).rejects.toMatchObject({ code: 'ERR_SHARD_TABLE' });
  });
});

describe('a transaction', () => {
  it('has the shards that its statements need', async () => {
    await fill(10);
    const seen = await db.withTransaction('public', async (tx) => {
      await tx.query('UPDATE orders SET amount = -1 WHERE user_id = $1', [1]);
      await tx.query('INSERT INTO items VALUES ($1, 1, $2), (2, 1, $2), (3, 1, $2), (4, 1, $2)', [1, 'a']);
      const { rows } = await tx.query('SELECT count(*)::int AS n, min(amount) AS least FROM orders');
      expect((await shop.askAll('SELECT count(*) FROM items')).every((count) => count === '0')).toBe(true);
      return rows;
    });
    expect(seen).toEqual([{ n: 10, least: -1 }]);
    expect((await db.query('SELECT count(*)::int AS n FROM items')).rows).toEqual([{ n: 4 }]);
    const failing = db.withTransaction('public', async (tx) => {
      await tx.query('DELETE FROM orders');
      await tx.savepoint((inner) => inner.query('DELETE FROM items WHERE user_id = 1'));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect((await db.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual([{ n: 10 }]);
    expect(await shop.ask(0, 'SELECT count(*) FROM pg_prepared_xacts')).toBe('0');
  });

  it('looks names up in the schema that was named', async () => {
    await shop.askAll('CREATE SCHEMA app; CREATE TABLE app.things (user_id int PRIMARY KEY)');
    const clusters = shop.clusters();
    const own = new PgMultiverse();
    await own.initialize({ main: { .../** @type {NonNullable<typeof clusters.main>} */ (clusters.main), schemas: ['app'] } });
    try {
      await own.withTransaction('app', async (tx) => {
        await tx.query('INSERT INTO things VALUES (1), (2), (3), (4), (5)');
        expect((await tx.query('SELECT count(*)::int AS n FROM things', [], { clusterId: 'main' })).rows).toEqual([{ n: 5 }]);
      });
      const id = await own.beginTransaction('app');
      const counts = [];
      for (let shard = 0; shard < SHARDS; shard += 1) {
        const { rows } = await own.executeInTransaction(id, 'SELECT count(*)::int AS n FROM things', [], { clusterId: `main/${shard}` });
        counts.push(rows[0].n);
      }
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
      await own.rollbackTransaction(id);
    } finally {
      await own.close();
      await shop.askAll('DROP SCHEMA app CASCADE');
    }
  });

  it('over another cluster, too, must be told where a statement runs, from the first on', async () => {
    const refusal = { code: 'ERR_TRANSACTION_CLUSTER', message: 'Cannot determine target cluster for operation' };
    await db.withTransaction(['public', 'everything'], async (tx) => {
      await expect(tx.query('SELECT 1')).rejects.toMatchObject(refusal);
      expect((await tx.query('SELECT 1', [], { clusterId: 'main/0' })).clusterId).toBe('main/0');
      await expect(tx.query('SELECT 1')).rejects.toMatchObject(refusal);
      expect((await tx.query('SELECT 1', [], { clusterId: 'whole' })).clusterId).toBe('whole');
    });
    await expect(db.withTransaction('everything', (tx) => tx.query('SELECT 1', [], { clusterId: 'main/0' }))).rejects.toMatchObject({ code: 'ERR_TRANSACTION_CLUSTER' });
  });
});

describe('cached results', () => {
  it('of all shards are dropped by their cluster', async () => {
    await fill(10);
    const users = Array.from({ length: 10 }, (_, at) => at + 1);
    const read = () => Promise.all(users.map(async (user) => (await db.query('SELECT amount FROM orders WHERE user_id = $1', [user], { cache: true })).rows[0].amount));
    await eventually(async () => {
      await read();
      return db.getMetrics().cache?.itemCount === 10;
    });
    await shop.askAll('UPDATE orders SET amount = -1');
    expect(await db.invalidateCache({ cluster: 'main' })).toBe(10);
    expect(await read()).toEqual(users.map(() => -1));
    await db.invalidateCache({ cluster: 'main' });
  });
});

describe('other placements', () => {
  it('are ranges and directories, outside of which there is no row', async () => {
    const ranges = [{ min: 0, max: 100 }, { min: 100, max: 200 }, { min: 200, max: 300 }, { min: 300, max: 400 }];
    const directory = { 1: 0, 2: 1, 3: 2, 4: 3 };
    for (const [sharding, key, shard] of /** @type {const} */ ([
      [{ strategy: 'range', ranges }, 250, 2],
      [{ strategy: 'directory', directory }, 4, 3],
    ])) {
      const other = await shop.open({ ...sharding, partitions: /** @type {never} */ (undefined), ...('ranges' in sharding ? { ranges } : {}) });
      try {
        expect((await other.query('INSERT INTO orders (user_id, id) VALUES ($1, 1)', [key])).clusterId).toBe(`main/${shard}`);
        await expect(other.query('INSERT INTO orders (user_id, id) VALUES (5000, 1)')).rejects.toMatchObject({ code: 'ERR_SHARD_KEY_VALUE' });
        expect((await other.query('SELECT * FROM orders WHERE user_id = 5000')).rows).toEqual([]);
        expect((await other.checkShards('main')).misplaced).toBe(0);
      } finally {
        await other.close();
      }
      await shop.askAll('TRUNCATE orders');
    }
  });

  it('take the replicas of a cluster for its shards where none are named', async () => {
    const { PgMultiverse } = await import('replicaverse/pg-multiverse');
    const other = new PgMultiverse();
    const servers = [0, 1, 2, 3].map((number) => shop.address(number));
    const main = { schemas: ['public'], primary: shop.address(4), replicas: servers, sharding: { strategy: /** @type {const} */ ('hash'), key: 'user_id', partitions: 4 } };
    await other.initialize({ main });
    try {
      await other.query('INSERT INTO orders (user_id, id) VALUES (1, 1), (2, 2), (3, 3)');
      expect((await db.query('SELECT id FROM orders WHERE user_id = 3')).rows).toEqual([{ id: 3 }]);
      expect(Object.keys(await other.healthCheck())).toEqual(['main/0', 'main/1', 'main/2', 'main/3']);
    } finally {
      await other.close();
    }
    await expect(other.initialize({ main: { ...main, replicas: [] } })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });
});

describe('pgm shard check', () => {
  it('counts rows by shard, and those that lie wrongly', async () => {
    await fill(40);
    await withFolder({}, async (folder) => {
      const { writeFile } = await import('node:fs/promises');
      await writeFile(`${folder}/pgm.config.json`, JSON.stringify(shop.clusters()));
      const right = await pgm(folder, ['shard', 'check']);
      expect(right.code).toBe(0);
      expect(right.output).toContain('public.orders');
      const { clusterId } = await db.query('SELECT 1 FROM orders WHERE user_id = 1');
      const wrong = clusterId === 'main/0' ? 1 : 0;
      await shop.ask(wrong, 'INSERT INTO orders (user_id, id) VALUES (1, 1)');
      const found = await pgm(folder, ['shard', 'check', '--json']);
      expect(found.code).toBe(1);
      const [check] = JSON.parse(found.output).clusters;
      expect(check).toMatchObject({ clusterId: 'main', misplaced: 1 });
      const orders = check.tables.filter((/** @type {{ table: string }} */ { table }) => table === 'orders');
      expect(orders.map((/** @type {{ misplaced: number }} */ { misplaced }) => misplaced)).toEqual([0, 1, 2, 3].map((number) => (number === wrong ? 1 : 0)));
      expect(orders.reduce((/** @type {number} */ sum, /** @type {{ rows: number }} */ { rows }) => sum + rows, 0)).toBe(41);
    });
  });
});
