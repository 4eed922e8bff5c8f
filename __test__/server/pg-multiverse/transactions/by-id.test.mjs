// Transactions by their ids, their options, and what is told and counted of them.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually } from '../../../support/index.mjs';
import { Shops } from './shops.mjs';

/** @type {Shops} */
let shops;
/** @type {Awaited<ReturnType<Shops['open']>>} */
let db;
beforeAll(async () => {
  shops = await Shops.start();
});
beforeEach(async () => {
  await shops.reset();
  db = await shops.open();
});
afterAll(() => shops.remove());

const take = 'UPDATE account SET amount = amount - $1 WHERE id = 1';
const show = async (/** @type {import('replicaverse/pg-multiverse').TransactionContext} */ tx, /** @type {string} */ name) =>
  (await tx.query(`SELECT current_setting('${name}') AS value`)).rows[0].value;

describe('a transaction with an id', () => {
  it('is executed in, and committed or rolled back', async () => {
    const id = await db.beginTransaction(['users', 'orders']);
    await db.executeInTransaction(id, take, [5], { schema: 'users' });
    await db.executeInTransaction(id, take, [-5], { schema: 'orders' });
    await db.commitTransaction(id);
    expect(await shops.amounts()).toEqual([95, 105]);
    const other = await db.beginTransaction('users');
    await db.executeInTransaction(other, take, [5]);
    await db.rollbackTransaction(other);
    expect(await shops.amounts()).toEqual([95, 105]);
    for (const ended of [id, other, 'nothing']) {
      const message = `Transaction ${ended} not found`;
      await expect(db.executeInTransaction(ended, 'SELECT 1')).rejects.toMatchObject({ message, code: 'ERR_TRANSACTION_NOT_FOUND' });
      await expect(db.commitTransaction(ended)).rejects.toThrow(message);
      await expect(db.rollbackTransaction(ended)).rejects.toThrow(message);
    }
    await db.close();
  });

  it('cancels what is running when it is rolled back', async () => {
    const id = await db.beginTransaction('users');
    const sleeping = db.executeInTransaction(id, 'SELECT pg_sleep(60)');
    const refused = expect(sleeping).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    await db.rollbackTransaction(id);
    await refused;
    await db.close();
    await eventually(async () => (await shops.first.psql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()")) === '');
  });

  it('is ended by whoever ends it first, and counted and told of once', async () => {
    /** @type {string[]} */
    const told = [];
    db.on('transactionCommitted', () => told.push('committed'));
    db.on('transactionAborted', () => told.push('aborted'));
    const id = await db.beginTransaction(['users', 'orders']);
    await db.executeInTransaction(id, take, [5], { schema: 'users' });
    await db.executeInTransaction(id, take, [-5], { schema: 'orders' });
    const endings = [db.commitTransaction(id), db.commitTransaction(id), db.rollbackTransaction(id)];
    const [first, ...late] = await Promise.allSettled(endings);
    expect(first).toMatchObject({ status: 'fulfilled' });
    for (const ending of late) expect(ending).toMatchObject({ status: 'rejected', reason: { code: 'ERR_TRANSACTION_STATE' } });
    expect(await shops.amounts()).toEqual([95, 105]);
    expect(told).toEqual(['committed']);
    expect(db.getMetrics().transactions).toMatchObject({ total: 1, active: 0, committed: 1, aborted: 0 });
    await db.close();
  });

  it('tells that its connection was lost, whatever is asked for next', async () => {
    const begin = async () => {
      const id = await db.beginTransaction(['users', 'orders']);
      await db.executeInTransaction(id, take, [5], { schema: 'users' });
      const { rows } = await db.executeInTransaction(id, 'SELECT pg_backend_pid() AS pid', [], { schema: 'users' });
      await shops.first.psql(`SELECT pg_terminate_backend(${rows[0].pid})`);
      await eventually(async () => (await shops.first.psql(`SELECT 1 FROM pg_stat_activity WHERE pid = ${rows[0].pid}`)) === '');
      return id;
    };
    const queried = await begin();
    const query = () => db.executeInTransaction(queried, 'SELECT 1', [], { schema: 'users' });
    await query().catch(() => undefined);
    await expect(query()).rejects.toMatchObject({ code: 'ERR_CONNECTION', kind: 'Connection', message: expect.stringContaining('was rolled back: its connection to cluster') });
    await expect(db.commitTransaction(queried)).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    await expect(db.commitTransaction(await begin())).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    const withSavepoint = db.withTransaction('users', async (tx) => {
      const { rows } = await tx.query('SELECT pg_backend_pid() AS pid');
      await shops.first.psql(`SELECT pg_terminate_backend(${rows[0].pid})`);
      await tx.query('SELECT 1').catch(() => undefined);
      await tx.savepoint(() => undefined);
    });
    await expect(withSavepoint).rejects.toMatchObject({ code: 'ERR_CONNECTION', kind: 'Connection', retryable: true });
    expect(await shops.amounts()).toEqual([100, 100]);
    await db.close();
  });

  it('is rolled back when the instance is closed', async () => {
    const id = await db.beginTransaction(['users', 'orders']);
    await db.executeInTransaction(id, take, [5], { schema: 'users' });
    await db.close();
    expect(await shops.amounts()).toEqual([100, 100]);
  });

  it('is refused when the instance is closed while it waits to begin, and commits that have begun end well', async () => {
    const { eu, us } = /** @type {Record<'eu' | 'us', import('replicaverse/pg-multiverse').ClusterConfig>} */ (shops.clusters());
    const closing = new PgMultiverse();
    await closing.initialize({ eu: { ...eu, connectionPool: { max: 1, acquireTimeoutMillis: 0 } }, us });
    await shops.second.psql(`
      CREATE FUNCTION orders.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON orders.account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orders.wait();
    `);
    const guard = await db.getConnection({ clusterId: 'us' });
    await guard.query('SELECT pg_advisory_lock(7)');
    const committing = closing.withTransaction('orders', (tx) => tx.query(take, [5]));
    await eventually(async () => (await shops.second.psql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")) === '1');
    await closing.beginTransaction('users');
    let hasRun = false;
    const refused = expect(
      closing.withTransaction('users', () => {
        hasRun = true;
      }),
    ).rejects.toMatchObject({ code: 'ERR_CLOSED', kind: 'Closed' });
    const closed = closing.close();
    await refused.finally(() => guard.release(true));
    expect(hasRun).toBe(false);
    await Promise.all([committing, closed]);
    await shops.second.psql('DROP FUNCTION orders.wait CASCADE');
    expect(await shops.amounts()).toEqual([100, 95]);
    await db.close();
  });

  it('that waits for a connection which nobody gives back does not keep the instance from being closed', async () => {
    const { eu } = /** @type {Record<'eu', import('replicaverse/pg-multiverse').ClusterConfig>} */ (shops.clusters());
    const closing = new PgMultiverse();
    await closing.initialize({ eu: { ...eu, connectionPool: { max: 1, acquireTimeoutMillis: 0 } } });
    await closing.getConnection();
    const refused = expect(closing.beginTransaction('users')).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await closing.close();
    await refused;
    await db.close();
  });
});

describe('options', () => {
  it('set what the transaction is', async () => {
    const isolation = { isolationLevel: /** @type {const} */ ('SERIALIZABLE'), readonly: true, deferrable: true };
    await db.withTransaction(
      'users',
      async (tx) => {
        expect(await show(tx, 'transaction_isolation')).toBe('serializable');
        expect(await show(tx, 'transaction_read_only')).toBe('on');
        expect(await show(tx, 'transaction_deferrable')).toBe('on');
        await expect(tx.savepoint(() => tx.query(take, [1]))).rejects.toMatchObject({ code: '25006' });
      },
      isolation,
    );
    await expect(db.withTransaction('users', () => 1, { isolationLevel: /** @type {never} */ ('CHAOS') })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    await expect(db.withTransaction([], () => 1)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    await expect(db.withTransaction('nowhere', () => 1)).rejects.toThrow('No cluster configured for schema: nowhere');
    await db.close();
  });

  it('end a transaction that takes too long, on the server too', async () => {
    /** @type {unknown} */
    let seen;
    const slow = db.withTransaction(
      ['users', 'orders'],
      async (tx) => {
        await tx.query(take, [1], { schema: 'users' });
        await tx.query('SELECT pg_sleep(60)', [], { schema: 'orders' }).catch((/** @type {unknown} */ error) => {
          seen = error;
          throw error;
        });
      },
      { timeout: 100 },
    );
    await expect(slow).rejects.toMatchObject({ code: 'ERR_TRANSACTION_TIMEOUT', kind: 'Timeout' });
    expect(seen).toMatchObject({ code: 'ERR_ABORTED' });
    // Also one that is not at a statement.
    await expect(db.withTransaction('users', () => new Promise(() => undefined), { timeout: 20 })).rejects.toMatchObject({ code: 'ERR_TRANSACTION_TIMEOUT' });
    expect(await shops.amounts()).toEqual([100, 100]);
    expect(db.getMetrics().transactions?.active).toBe(0);
    await db.close();
  });

  it('count the time in which a transaction waits to begin', async () => {
    const clusters = shops.clusters();
    const one = new PgMultiverse();
    await one.initialize({ eu: { .../** @type {NonNullable<typeof clusters.eu>} */ (clusters.eu), connectionPool: { max: 1, acquireTimeoutMillis: 0 } } });
    const client = await one.getConnection();
    await expect(one.withTransaction('users', () => 1, { timeout: 100 })).rejects.toMatchObject({ code: 'ERR_TRANSACTION_TIMEOUT', kind: 'Timeout' });
    client.release();
    expect(await one.withTransaction('users', () => 2, { timeout: 10_000 })).toBe(2);
    await one.close();
    await db.close();
  });

  it('run the function again after a deadlock and after a failure to serialize', async () => {
    let runs = 0;
    const cross = (/** @type {readonly [number, number]} */ [first, second], /** @type {() => Promise<void>} */ meet) =>
      db.withTransaction(
        'users',
        async (tx) => {
          runs += 1;
          await tx.query('UPDATE account SET amount = amount + 1 WHERE id = $1', [first]);
          await meet();
          await tx.query('UPDATE account SET amount = amount + 1 WHERE id = $1', [second]);
        },
        { retry: { attempts: 5 } },
      );
    let arrived = 0;
    /** @type {(value?: unknown) => void} */
    let open = () => undefined;
    const both = new Promise((resolve) => {
      open = resolve;
    });
    const meet = async () => {
      arrived += 1;
      if (arrived >= 2) open();
      await both;
    };
    await Promise.all([cross([1, 2], meet), cross([2, 1], meet)]);
    expect(runs).toBe(3);
    expect((await shops.amounts())[0]).toBe(102);
    let attempts = 0;
    const serial = db.withTransaction(
      'users',
      async (tx) => {
        attempts += 1;
        await tx.query('SELECT amount FROM account WHERE id = 1');
        if (attempts === 1) await shops.first.psql('UPDATE users.account SET amount = 50 WHERE id = 1');
        await tx.query(take, [1]);
      },
      { isolationLevel: 'REPEATABLE_READ', retry: { attempts: 1 } },
    );
    await serial;
    expect(attempts).toBe(2);
    expect((await shops.amounts())[0]).toBe(49);
    // Nothing else is run again.
    let failures = 0;
    const failing = db.withTransaction(
      'users',
      async (tx) => {
        failures += 1;
        await tx.query('SELECT 1/0');
      },
      { retry: { attempts: 3 } },
    );
    await expect(failing).rejects.toMatchObject({ code: '22012' });
    expect(failures).toBe(1);
    await db.close();
  });
});

describe('a table that another process alters', () => {
  it('keeps no transaction from its first statement, and has others run again', async () => {
    await shops.first.psql('CREATE TABLE users.grown (a int)');
    const alter = (/** @type {string} */ column) => shops.first.psql(`ALTER TABLE users.grown ADD COLUMN ${column} int`);
    let runs = 0;
    const columns = (/** @type {string} */ first, attempts = 0) =>
      db.withTransaction(
        'users',
        async (tx) => {
          runs += 1;
          if (first !== '') await tx.query(first);
          return (await tx.query('SELECT * FROM grown')).fields.length;
        },
        { retry: { attempts } },
      );
    expect([await columns(''), await columns('')]).toEqual([1, 1]);
    await alter('b');
    expect([await columns(''), runs]).toEqual([2, 3]);
    const keep = async () => [await columns(''), await columns('')];
    await keep();
    await alter('c');
    await expect(columns('SELECT 1')).rejects.toMatchObject({ code: '0A000', retryable: true });
    expect(await columns('SELECT 1')).toBe(3);
    await keep();
    await alter('d');
    runs = 0;
    expect([await columns('SELECT 1', 1), runs]).toEqual([4, 2]);
    await shops.first.psql('DROP TABLE users.grown');
    await db.close();
  });
});

describe('what is told of transactions', () => {
  it('says when one begins and how it ends', async () => {
    /** @type {any[]} */
    const told = [];
    for (const event of /** @type {const} */ (['transactionStarted', 'transactionCommitted', 'transactionAborted'])) {
      db.on(event, (/** @type {any} */ what) => told.push([event, what]));
    }
    const id = await db.withTransaction(['users', 'orders'], (tx) => tx.transactionId);
    await expect(
      db.withTransaction('users', () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    const manual = await db.beginTransaction('orders');
    await db.rollbackTransaction(manual);
    const duration = expect.any(Number);
    expect(told).toEqual([
      ['transactionStarted', { transactionId: id, schemas: ['users', 'orders'], clusters: ['eu', 'us'] }],
      ['transactionCommitted', { transactionId: id, duration }],
      ['transactionStarted', { transactionId: expect.any(String), schemas: ['users'], clusters: ['eu'] }],
      ['transactionAborted', { transactionId: expect.any(String), reason: 'no', duration }],
      ['transactionStarted', { transactionId: manual, schemas: ['orders'], clusters: ['us'] }],
      ['transactionAborted', { transactionId: manual, reason: 'Manual rollback', duration }],
    ]);
    expect(db.getMetrics().transactions).toEqual({ total: 3, active: 0, committed: 1, aborted: 2, avgDuration: duration, distributed: 0 });
    await db.close();
  });

  it('counts the statements of the application and nothing else', async () => {
    const before = db.getMetrics().totalQueries;
    /** @type {string[]} */
    const executed = [];
    db.on('queryExecuted', ({ sql }) => executed.push(sql));
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query(take, [1], { schema: 'users' });
      await tx.query(take, [1], { schema: 'orders' });
      await tx.savepoint(() => tx.savepoint('inner', () => tx.query(take, [1], { schema: 'orders' })));
      await tx.savepoint(() => Promise.reject(new Error('undone'))).catch(() => undefined);
    });
    expect(db.getMetrics().totalQueries).toBe(before + 3);
    expect(executed).toEqual([take, take, take]);
    expect(db.metricsText()).toContain('replicaverse_pg_transactions_total{outcome="committed"} 1\n');
    await db.close();
  });

  it('is not there where transactions are not enabled', async () => {
    const without = await shops.open({ enableTransactions: false });
    await expect(without.withTransaction('users', () => 1)).rejects.toThrow('Transactions not enabled');
    await expect(without.beginTransaction('users')).rejects.toThrow('Transactions not enabled');
    expect(without.getMetrics().transactions).toBeUndefined();
    await without.close();
    await db.close();
  });
});
