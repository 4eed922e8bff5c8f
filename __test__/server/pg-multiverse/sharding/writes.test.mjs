// Writes on several shards: their time, their cancelling, their order, and what those who wrote see afterwards.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually, Proxy, startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { ShardedShop } from './sharded-shop.mjs';

const SCHEMA = 'CREATE TABLE orders (user_id int NOT NULL, id int NOT NULL, amount int, PRIMARY KEY (user_id, id))';
const USERS = Array.from({ length: 20 }, (_, at) => at + 1);
const FILL = `INSERT INTO orders VALUES ${USERS.map((user) => `(${user}, ${user}, 0)`).join(', ')}`;

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
  await shop.askAll('TRUNCATE orders');
  await db.query(FILL);
});

const amounts = async () => (await db.query('SELECT DISTINCT amount FROM orders ORDER BY amount')).rows.map(({ amount }) => amount);

describe('an INSERT of many rows', () => {
  it('gives its rows back in the order of VALUES', async () => {
    const users = [7, 3, 11, 2, 19, 5, 13, 1];
    const text = users.map((user) => `(${user}, 100, ${user})`).join(', ');
    for (let turn = 0; turn < 3; turn += 1) {
      await db.query('DELETE FROM orders WHERE id = 100');
      const { rows, rowCount } = await db.query(`INSERT INTO orders VALUES ${text} RETURNING user_id, amount`);
      expect(rows.map(({ user_id }) => user_id)).toEqual(users);
      expect(rowCount).toBe(users.length);
    }
    const again = await db.query(`INSERT INTO orders VALUES ${text} ON CONFLICT (user_id, id) DO UPDATE SET amount = -1 RETURNING user_id, amount`);
    expect(again.rows).toEqual(users.map((user_id) => ({ user_id, amount: -1 })));
    const none = await db.query(`INSERT INTO orders VALUES ${text}, (20, 100, 1) ON CONFLICT (user_id, id) DO NOTHING RETURNING user_id`);
    expect(none.rows).toEqual([{ user_id: 20 }]);
  });
});

describe('a write on all shards whose connections are taken', () => {
  /** Takes every connection to a shard. @param {() => Promise<void>} during */
  async function withoutConnections(during) {
    const clients = await Promise.all(Array.from({ length: 6 }, () => db.getConnection({ clusterId: 'main/3' })));
    try {
      await during();
    } finally {
      for (const client of clients) client.release();
    }
  }

  it('waits no longer than it may, and writes nothing', async () => {
    await withoutConnections(async () => {
      await expect(db.query('UPDATE orders SET amount = 1', [], { timeout: 200 })).rejects.toMatchObject({ kind: 'Timeout', message: 'Query timed out after 200 ms' });
    });
    await db.query('UPDATE orders SET amount = amount + 10');
    expect(await amounts()).toEqual([10]);
  });

  it('is cancelled while it waits, and writes nothing', async () => {
    await withoutConnections(async () => {
      const controller = new AbortController();
      const query = db.query('UPDATE orders SET amount = 1', [], { signal: controller.signal });
      // Once it is under way, other shards have begun.
      await eventually(async () => expect(Number(await shop.ask(0, "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"))).toBe(3));
      controller.abort(new Error('enough'));
      await expect(query).rejects.toThrow('enough');
    });
    await db.query('UPDATE orders SET amount = amount + 10');
    await eventually(async () => expect(Number(await shop.ask(0, "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"))).toBe(0));
    expect(await amounts()).toEqual([10]);
  });
});

describe('a transaction that writes on all shards', () => {
  it('waits for others without a circle over several servers', async () => {
    const one = async () => {
      await db.withTransaction('public', async (tx) => {
        await tx.query('UPDATE orders SET amount = amount + 1');
        await tx.query('UPDATE orders SET amount = amount + 1');
      }, { timeout: 20_000 });
    };
    await Promise.all(Array.from({ length: 4 }, async () => {
      for (let turn = 0; turn < 3; turn += 1) await one();
    }));
    expect(await amounts()).toEqual([24]);
  });

  it('does in their order what is asked without waiting', async () => {
    const sums = await db.withTransaction('public', async (tx) => {
      const results = await Promise.all([
        tx.query('UPDATE orders SET amount = 1'),
        tx.query('SELECT sum(amount)::int AS sum FROM orders'),
        tx.query('UPDATE orders SET amount = amount + 1'),
        tx.query('SELECT amount AS sum FROM orders WHERE user_id = 1'),
      ]);
      return [results[1].rows[0].sum, results[3].rows[0].sum];
    });
    expect(sums).toEqual([USERS.length, 2]);
  });

  /** Keeps the rows of the last shard locked. @param {(free: () => Promise<void>) => Promise<void>} during */
  async function withLockedRows(during) {
    const client = await db.getConnection({ clusterId: 'main/3' });
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM orders FOR UPDATE');
      await during(async () => void (await client.query('ROLLBACK')));
    } finally {
      client.release(true);
    }
  }

  it('takes no commit after a statement that was broken off', async () => {
    await withLockedRows(async (free) => {
      const transaction = db.withTransaction('public', async (tx) => {
        await expect(tx.query('UPDATE orders SET amount = 1', [], { timeout: 200 })).rejects.toMatchObject({ kind: 'Timeout' });
        await expect(tx.query('SELECT 1 FROM orders')).rejects.toMatchObject({ code: 'ERR_TRANSACTION_STATE' });
        await free();
      });
      await expect(transaction).rejects.toMatchObject({ code: 'ERR_TRANSACTION_STATE' });
    });
    expect(await amounts()).toEqual([0]);
  });

  it('goes on from a savepoint before a statement that was broken off', async () => {
    await withLockedRows(async (free) => {
      await db.withTransaction('public', async (tx) => {
        const broken = tx.savepoint(async (inner) => {
          await inner.query('UPDATE orders SET amount = 1', [], { timeout: 200 }).catch(() => undefined);
        });
        await expect(broken).rejects.toMatchObject({ code: 'ERR_TRANSACTION_STATE' });
        await free();
        await tx.query('UPDATE orders SET amount = amount + 2');
      });
    });
    expect(await amounts()).toEqual([2]);
  });

  it('gives up in time what waits for its turn', async () => {
    await withLockedRows(async (free) => {
      await db.withTransaction('public', async (tx) => {
        const slow = tx.query('UPDATE orders SET amount = 1');
        await expect(tx.query('UPDATE orders SET amount = 2', [], { timeout: 50 })).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
        await expect(tx.query('UPDATE orders SET amount = 3', [], { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ name: 'TimeoutError' });
        await free();
        await slow;
      });
    });
    expect(await amounts()).toEqual([1]);
  });
});

describe('a cluster whose first shard cannot be reached', () => {
  it('answers on the others, and keeps the time of those who wait', async () => {
    const proxy = await Proxy.start(shop.address(0).port);
    const clusters = shop.clusters();
    /** @type {any} */ (clusters).main.sharding.shards[0].primary.port = proxy.port;
    const other = new PgMultiverse();
    await other.initialize(clusters);
    try {
      const { clusterId: first } = await db.query('SELECT 1 FROM orders WHERE user_id = $1', [1]);
      const user = first === 'main/0' ? await userElsewhere() : 1;
      proxy.cut();
      await expect(other.query('SELECT 1 FROM orders WHERE user_id = $1', [user], { timeout: 50 })).rejects.toMatchObject({ kind: 'Timeout' });
      // It also outlasts that the configuration is read again.
      const waiting = other.query('SELECT id FROM orders WHERE user_id = $1', [user]);
      other.registerSchema('more', 'main');
      expect((await waiting).rows).toEqual([{ id: user }]);
    } finally {
      await other.close();
      await proxy.stop();
    }
  });

  async function userElsewhere() {
    for (const user of USERS) {
      if ((await db.query('SELECT 1 FROM orders WHERE user_id = $1', [user])).clusterId !== 'main/0') return user;
    }
    throw new Error('all rows lie on one shard');
  }
});

describe("consistencyLevel 'session'", () => {
  it('shows each shard what was written there, though its standby lags', async () => {
    const server = await startPostgres({ standbys: 1, settings: { max_prepared_transactions: 20 } });
    const own = new PgMultiverse();
    try {
      const standby = /** @type {NonNullable<(typeof server.standbys)[0]>} */ (server.standbys[0]);
      const shards = [];
      for (const name of ['one', 'two']) {
        const uri = await server.createDatabase(name);
        await server.psql(SCHEMA, name);
        shards.push({ primary: addressOf(uri), replicas: [addressOf(standby.uriOf(name))] });
      }
      await standby.waitUntilCaughtUp();
      const sharding = { strategy: /** @type {const} */ ('hash'), key: 'user_id', partitions: 2, shards };
      await own.initialize({ main: { schemas: ['public'], sharding } });
      const session = /** @type {const} */ ({ consistencyLevel: 'session', clusterId: 'main' });
      await own.query(FILL, [], session);
      await standby.psql('SELECT pg_wal_replay_pause()', 'postgres');
      // Who asks for no consistency sees what the standby has.
      await own.query('UPDATE orders SET amount = -1');
      await eventually(async () => {
        const { rows } = await own.query('SELECT amount FROM orders WHERE user_id = 1');
        expect(rows).toEqual([{ amount: 0 }]);
        return true;
      });
      for (const [sql, wanted] of /** @type {[string, number][]} */ ([
        ['UPDATE orders SET amount = 1', 1],
        ['UPDATE orders SET amount = amount + 1', 2],
      ])) {
        await own.query(sql, [], session);
        const { rows } = await own.query('SELECT DISTINCT amount FROM orders', [], session);
        expect(rows).toEqual([{ amount: wanted }]);
      }
      for (const user of [1, 2, 3, 4]) {
        await own.query('UPDATE orders SET amount = 9 WHERE user_id = $1', [user], session);
        expect((await own.query('SELECT amount FROM orders WHERE user_id = $1', [user], session)).rows).toEqual([{ amount: 9 }]);
      }
    } finally {
      await own.close();
      await server.remove();
    }
  });
});
