// Transactions over several clusters: on all of them or on none.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { Shops } from './shops.mjs';

/** @type {Shops} */
let shops;
/** @type {Awaited<ReturnType<Shops['open']>>} */
let db;
beforeAll(async () => {
  shops = await Shops.start();
  db = await shops.open();
});
afterAll(async () => {
  await db.close();
  await shops.remove();
});
beforeEach(() => shops.reset());

const take = 'UPDATE account SET amount = amount - $1 WHERE id = 1';
const users = { schema: 'users' };
const orders = { schema: 'orders' };
/** @param {number} amount */
const transfer = (amount) =>
  db.withTransaction(['users', 'orders'], async (tx) => {
    await tx.query(take, [amount], users);
    await tx.query(take, [-amount], orders);
    return tx.transactionId;
  });

describe('a transaction over two clusters', () => {
  it('is committed on both, and leaves nothing behind', async () => {
    const id = await transfer(30);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await shops.amounts()).toEqual([70, 130]);
    await eventually(async () => (await shops.left()).length === 0, { what: 'nothing to be left' });
  });

  it('is rolled back on both when its function throws, with what it threw', async () => {
    const thrown = new Error('no');
    const failing = db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query(take, [1], users);
      await tx.query(take, [1], orders);
      throw thrown;
    });
    await expect(failing).rejects.toBe(thrown);
    expect(await shops.amounts()).toEqual([100, 100]);
    expect(await shops.left()).toEqual([]);
  });

  it('is rolled back on both when one of them refuses to commit', async () => {
    for (const [server, schema] of /** @type {const} */ ([[shops.first, 'users'], [shops.second, 'orders']])) {
      await server.psql(`
        CREATE TABLE ${schema}.note (account int REFERENCES ${schema}.account DEFERRABLE INITIALLY DEFERRED)
      `);
      const failing = db.withTransaction(['users', 'orders'], async (tx) => {
        await tx.query(take, [1], users);
        await tx.query(take, [1], orders);
        await tx.query('INSERT INTO note VALUES (999)', [], { schema });
      });
      await expect(failing).rejects.toMatchObject({ code: '23503' });
      expect(await shops.amounts()).toEqual([100, 100]);
      expect((await shops.left()).filter((text) => text.startsWith('replicaverse:'))).toEqual([]);
    }
  });

  it('is committed on both when it has set another role, which could not end what it prepares', async () => {
    for (const [server, schema] of /** @type {const} */ ([[shops.first, 'users'], [shops.second, 'orders']])) {
      await server.psql(`
        CREATE ROLE tenant; CREATE ROLE clerk LOGIN PASSWORD 'clerk' IN ROLE tenant;
        GRANT ALL ON SCHEMA ${schema}, public TO clerk, tenant; GRANT ALL ON ${schema}.account TO clerk, tenant;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk
      `);
    }
    const as = (/** @type {string} */ uri) => ({ ...addressOf(uri), user: 'clerk', password: 'clerk' });
    const clerks = new PgMultiverse();
    await clerks.initialize({ eu: { schemas: ['users'], primary: as(shops.first.uri) }, us: { schemas: ['orders'], primary: as(shops.second.uri) } });
    for (const sets of [[users], [orders], [users, orders]]) {
      await clerks.withTransaction(['users', 'orders'], async (tx) => {
        for (const place of sets) await tx.query('SET LOCAL ROLE tenant', [], place);
        await tx.query(take, [10], users);
        await tx.query(take, [-10], orders);
      });
    }
    await clerks.close();
    expect(await shops.amounts()).toEqual([70, 130]);
    expect((await shops.left()).filter((text) => text.startsWith('replicaverse:'))).toEqual([]);
  });

  it('is rolled back on both when a statement had failed and nobody cared', async () => {
    for (const schema of ['users', 'orders']) {
      const failing = db.withTransaction(['users', 'orders'], async (tx) => {
        await tx.query(take, [1], users);
        await tx.query(take, [1], orders);
        await tx.query('SELECT 1/0', [], { schema }).catch(() => undefined);
      });
      await expect(failing).rejects.toMatchObject({ code: 'ERR_TRANSACTION_ABORTED' });
    }
    const one = db.withTransaction('users', async (tx) => {
      await tx.query(take, [1]);
      await tx.query('SELECT 1/0').catch(() => undefined);
    });
    await expect(one).rejects.toMatchObject({ code: 'ERR_TRANSACTION_ABORTED' });
    expect(await shops.amounts()).toEqual([100, 100]);
  });

  it('takes one phase where only one cluster was written to, and two where a function wrote', async () => {
    const distributed = () => db.getMetrics().transactions?.distributed ?? Number.NaN;
    const before = distributed();
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query('SELECT amount FROM account', [], orders);
      await tx.query(take, [1], users);
    });
    await db.withTransaction(['users', 'orders'], (tx) => tx.query('SELECT 1', [], users));
    expect(distributed()).toBe(before);
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query('SELECT take(1)', [], users);
      await tx.query('SELECT take(1)', [], orders);
    });
    expect(distributed()).toBe(before + 1);
    expect(await shops.amounts()).toEqual([98, 99]);
  });

  it('says what PostgreSQL prepares no transaction with', async () => {
    const failing = db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query(take, [1], users);
      await tx.query('CREATE TEMP TABLE basket (n int)', [], orders);
    });
    await expect(failing).rejects.toMatchObject({ code: 'ERR_TRANSACTION_UNPREPARABLE', message: expect.stringContaining('temporary') });
    expect(await shops.amounts()).toEqual([100, 100]);
    const notifying = db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query(take, [1], users);
      await tx.query('NOTIFY basket', [], orders);
    });
    await expect(notifying).rejects.toMatchObject({ code: 'ERR_TRANSACTION_UNPREPARABLE', message: expect.stringContaining('NOTIFY') });
  });

  it('may be run many times at the same time', async () => {
    const amounts = Array.from({ length: 40 }, (_, at) => (at % 2 === 0 ? 1 : -1));
    await Promise.all(amounts.map(transfer));
    expect(await shops.amounts()).toEqual([100, 100]);
    await eventually(async () => (await shops.left()).length === 0, { what: 'nothing to be left' });
  });

  it('keeps the name of its decision unique when both clusters are databases of one server', async () => {
    await shops.first.createDatabase('second');
    await shops.first.psql('CREATE TABLE public.account (id int PRIMARY KEY, amount int)', 'second');
    const { PgMultiverse } = await import('replicaverse/pg-multiverse');
    const both = new PgMultiverse();
    const { eu } = shops.clusters();
    const primary = { ...addressOf(shops.first.uri), database: 'second' };
    await both.initialize({ one: { .../** @type {NonNullable<typeof eu>} */ (eu) }, two: { schemas: ['public'], primary }, three: { schemas: ['more'], primary } });
    try {
      await both.withTransaction(['users', 'public', 'more'], async (tx) => {
        await tx.query(take, [5], users);
        await tx.query('INSERT INTO account VALUES (1, 5)', [], { schema: 'public' });
        await tx.query('INSERT INTO public.account VALUES (2, 5)', [], { schema: 'more' });
      });
      expect(await shops.first.psql('SELECT count(*) FROM account', 'second')).toBe('2');
      expect(await shops.amounts()).toEqual([95, 100]);
    } finally {
      await both.close();
    }
  });
});

describe('statements of a transaction', () => {
  it('go to the cluster of their schema, and are refused where it was not named', async () => {
    await db.withTransaction('users', async (tx) => {
      expect((await tx.query('SELECT amount FROM account WHERE id = 1')).clusterId).toBe('eu');
      // Another schema of the same cluster.
      expect((await tx.query('SELECT count(*)::int AS n FROM account', [], { schema: 'more_users' })).rows).toEqual([{ n: 0 }]);
      await expect(tx.query('SELECT 1', [], orders)).rejects.toMatchObject({
        code: 'ERR_TRANSACTION_CLUSTER',
        message: `No connection available for cluster us in transaction ${tx.transactionId}`,
      });
      await expect(tx.query('SELECT 1', [], { schema: 'nowhere' })).rejects.toThrow('No cluster configured for schema: nowhere');
    });
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await expect(tx.query('SELECT 1')).rejects.toThrow('Cannot determine target cluster for operation');
      expect((await tx.query('SELECT 1', [], { clusterId: 'us' })).clusterId).toBe('us');
    });
  });

  it('have further clusters join where that was asked for', async () => {
    await db.withTransaction(
      'users',
      async (tx) => {
        await tx.query(take, [7]);
        await Promise.all([tx.query(take, [-3], orders), tx.query(take, [-4], orders)]);
      },
      { extend: true },
    );
    expect(await shops.amounts()).toEqual([93, 107]);
  });

  it('cannot end the transaction themselves', async () => {
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query(take, [1], users);
      for (const sql of ['COMMIT', 'rollback', 'BEGIN', "PREPARE TRANSACTION 'mine'", 'SELECT 1; COMMIT']) {
        await expect(tx.query(sql, [], users)).rejects.toMatchObject({ code: 'ERR_TRANSACTION_CONTROL' });
      }
    });
    expect(await shops.amounts()).toEqual([99, 100]);
  });

  it('are refused once the transaction has ended', async () => {
    /** @type {import('replicaverse/pg-multiverse').TransactionContext | undefined} */
    let kept;
    await db.withTransaction('users', (tx) => {
      kept = tx;
    });
    const id = kept?.transactionId;
    await expect(kept?.query('SELECT 1')).rejects.toThrow(`Transaction ${String(id)} is in committed state, cannot execute operations`);
  });
});

describe('savepoints', () => {
  it('undo what was done since, on all clusters, also where one joined meanwhile', async () => {
    await db.withTransaction(
      'users',
      async (tx) => {
        await tx.query(take, [1], users);
        const undone = tx.savepoint(async (inner) => {
          await inner.query(take, [10], users);
          await inner.query(take, [10], orders);
          await inner.savepoint('a "deeper" one', (deepest) => deepest.query(take, [20], orders));
          throw new Error('undo');
        });
        await expect(undone).rejects.toThrow('undo');
        await expect(tx.savepoint((inner) => inner.query('SELECT 1/0', [], orders))).rejects.toMatchObject({ code: '22012' });
        expect(await tx.savepoint(() => 'kept')).toBe('kept');
        await tx.query(take, [2], orders);
      },
      { extend: true },
    );
    expect(await shops.amounts()).toEqual([99, 98]);
  });
});

describe('a server that prepares nothing', () => {
  it('is refused with the fix once a second cluster writes, and not before', async () => {
    const without = await Shops.start({ max_prepared_transactions: 0 });
    const other = await without.open();
    try {
      await other.withTransaction(['users', 'orders'], async (tx) => {
        await tx.query(take, [1], users);
        await tx.query('SELECT amount FROM account', [], orders);
      });
      const failing = other.withTransaction(['users', 'orders'], async (tx) => {
        await tx.query(take, [1], users);
        await tx.query(take, [1], orders);
      });
      await expect(failing).rejects.toMatchObject({ code: 'ERR_PREPARED_TRANSACTIONS_DISABLED', message: expect.stringContaining('Set max_prepared_transactions') });
      expect(await without.amounts()).toEqual([99, 100]);
    } finally {
      await other.close();
      await without.remove();
    }
  });
});
