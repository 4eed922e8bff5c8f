// Applying migrations on several clusters and taking them back: what is recorded, told and refused.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { migration, silent, withMigrations } from './folder.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {Record<string, { uri: string, schemas: string[] }>} */
let clusters;
let number = 0;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

beforeEach(async () => {
  number += 1;
  const make = (/** @type {string} */ name) => server.createDatabase(`${name}_${number}`);
  const [eu, us] = [await make('eu'), await make('us')];
  clusters = { eu: { uri: eu, schemas: ['app', 'billing'] }, us: { uri: us, schemas: ['app'] } };
});

/**
 * @param {any[]} migrations
 * @param {(db: any, manager: any) => Promise<any>} use
 * @param {object} [config]
 */
const run = (migrations, use, config = {}) =>
  withMigrations(clusters, { createSchemas: true, ...config }, async (db, manager) => {
    for (const each of migrations) db.addMigration(each);
    return use(db, manager);
  });

const rows = async (/** @type {any} */ db, /** @type {string} */ clusterId, /** @type {string} */ sql, /** @type {unknown[]} */ values = []) =>
  (await db.query(sql, values, { clusterId, operation: 'write' })).rows;

describe('migrations', () => {
  it('run in each schema of each cluster, in their order, and are recorded there', async () => {
    const seen = /** @type {string[]} */ ([]);
    const first = migration('20260101000000_first', async (context) => {
      seen.push(`${context.version} ${context.schema}@${context.cluster}`);
      await context.query('CREATE TABLE items (id int)');
      const { rows: paths } = await context.query('SELECT $1::text AS given, current_schema() AS schema', ['x']);
      expect(paths).toEqual([{ given: 'x', schema: context.schema }]);
    }, { targetSchemas: ['app', 'billing'] });
    const second = migration('20260102000000_second', 'CREATE TABLE orders ()', { targetClusters: ['us'] });
    await run([second, first], async (db) => {
      const status = await db.migrate();
      expect(seen).toEqual(['app@eu', 'billing@eu', 'app@us'].map((place) => `20260101000000_first ${place}`));
      expect(status).toEqual({
        totalMigrations: 2,
        appliedMigrations: 4,
        pendingMigrations: 0,
        failedMigrations: 0,
        bySchema: {
          app: { applied: 3, pending: 0, failed: 0, lastApplied: '20260102000000_second' },
          billing: { applied: 1, pending: 0, failed: 0, lastApplied: '20260101000000_first' },
        },
        byCluster: {
          eu: { applied: 2, pending: 0, failed: 0, lastApplied: '20260101000000_first' },
          us: { applied: 2, pending: 0, failed: 0, lastApplied: '20260102000000_second' },
        },
      });
      const recorded = await rows(db, 'us', 'SELECT version, name, schema_name, cluster_id, batch FROM public.pg_multiverse_migrations ORDER BY version');
      expect(recorded).toEqual([
        { version: '20260101000000_first', name: 'first', schema_name: 'app', cluster_id: 'us', batch: 1 },
        { version: '20260102000000_second', name: 'second', schema_name: 'app', cluster_id: 'us', batch: 1 },
      ]);
      expect(await rows(db, 'eu', "SELECT table_schema FROM information_schema.tables WHERE table_name = 'items' ORDER BY 1")).toEqual([{ table_schema: 'app' }, { table_schema: 'billing' }]);
      expect(await rows(db, 'eu', 'SELECT 1 FROM pg_multiverse_migration_locks')).toEqual([]);
      await db.migrate();
      expect(seen).toHaveLength(3);
    });
  });

  it('are taken back last first, and tell what happens', async () => {
    const down = /** @type {string[]} */ ([]);
    const reversible = (/** @type {string} */ version) => migration(version, 'SELECT 1', { targetSchemas: ['billing'], down: async (/** @type {any} */ { version: taken }) => void down.push(taken) });
    await run([reversible('1_a'), reversible('2_b'), reversible('3_c')], async (db, manager) => {
      const told = /** @type {any[]} */ ([]);
      for (const event of ['migrationStarted', 'migrationCompleted', 'rollbackStarted', 'rollbackCompleted']) manager.on(event, (/** @type {any} */ { version }) => told.push(`${event} ${version}`));
      await db.migrate({ targetVersion: '2_b' });
      expect(told).toEqual(['migrationStarted 1_a', 'migrationCompleted 1_a', 'migrationStarted 2_b', 'migrationCompleted 2_b']);
      await db.migrate();
      await db.rollback();
      expect(down).toEqual(['3_c']);
      const status = await db.rollback({ targetVersion: '0' });
      expect(down).toEqual(['3_c', '2_b', '1_a']);
      expect(status.bySchema.billing).toEqual({ applied: 0, pending: 3, failed: 0 });
      expect(told.slice(-2)).toEqual(['rollbackStarted 1_a', 'rollbackCompleted 1_a']);
    });
  });

  it('that fail leave nothing behind, and the call rejects with what they threw', async () => {
    const boom = new Error('boom');
    const failing = migration('2_b', async (context) => {
      await context.query('CREATE TABLE left_behind ()');
      throw boom;
    }, { targetSchemas: ['billing'] });
    const refused = migration('1_a', 'CREATE TABLE t (id int); SELECT * FROM nowhere', { targetSchemas: ['billing'] });
    await run([failing], async (db, manager) => {
      const told = /** @type {any[]} */ ([]);
      manager.on('migrationFailed', (/** @type {any} */ event) => told.push(event.error));
      const error = await db.migrate().catch((/** @type {any} */ thrown) => thrown);
      expect(error).toMatchObject({ name: 'MigrationError', code: 'ERR_MIGRATION_FAILED', failures: [{ version: '2_b', name: 'b', schema: 'billing', cluster: 'eu' }] });
      expect(error.failures[0].error).toBe(boom);
      expect(error.cause).toBe(boom);
      expect(told).toEqual([boom]);
      expect(await rows(db, 'eu', "SELECT to_regclass('billing.left_behind') AS found")).toEqual([{ found: null }]);
      expect((await db.getMigrationStatus()).failedMigrations).toBe(1);
    });
    await run([refused], async (db) => {
      const error = await db.migrate().catch((/** @type {any} */ thrown) => thrown);
      expect(error.failures[0].error).toMatchObject({ code: '42P01' });
    });
  });

  it('go on over a failure if they may, and the failed one is applied later', async () => {
    let isBroken = true;
    const second = migration('2_b', async (context) => void (await context.query(isBroken ? 'nonsense' : 'SELECT 1')), { targetSchemas: ['billing'] });
    const others = ['1_a', '3_c'].map((version) => migration(version, 'SELECT 1', { targetSchemas: ['billing'] }));
    const dependent = migration('4_d', 'SELECT 1', { targetSchemas: ['billing'], dependencies: ['2_b'] });
    const last = migration('5_e', 'SELECT 1', { targetSchemas: ['billing'] });
    await run([...others, second, dependent, last], async (db) => {
      const status = await db.migrate({ continueOnError: true });
      // One that was not run for the sake of another counts as failed too: later ones have passed it.
      expect(status).toMatchObject({ appliedMigrations: 3, pendingMigrations: 2, failedMigrations: 2 });
      isBroken = false;
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 5, pendingMigrations: 0, failedMigrations: 0 });
    });
  });

  it('are refused out of order, without their dependencies, and in circles', async () => {
    const one = (/** @type {string} */ version, more = {}) => migration(version, 'SELECT 1', { targetSchemas: ['billing'], ...more });
    await run([one('2_b')], (db) => db.migrate());
    await run([one('1_a'), one('2_b')], (db) => expect(db.migrate()).rejects.toThrow('Migration 1_a is out of order on billing@eu: 2_b was applied before it'));
    await run([one('1_a'), one('2_b')], async (db) => expect((await db.migrate()).appliedMigrations).toBe(2), { allowOutOfOrder: true });
    await run([one('2_b'), one('3_c', { dependencies: ['0_x'] })], (db) => expect(db.migrate()).rejects.toThrow('Migration 3_c depends on missing migration: 0_x'));
    await run([one('2_b'), one('5_e', { dependencies: ['4_d'] }), one('4_d')], (db) => expect(db.migrate({ targetVersion: '2_b' })).resolves.toBeDefined());
    const circle = [one('6_f', { dependencies: ['7_g'] }), one('7_g', { dependencies: ['6_f'] })];
    await run(circle, (db) => expect(db.migrate()).rejects.toMatchObject({ code: 'ERR_MIGRATION_DEPENDENCY', message: expect.stringContaining('6_f -> 7_g -> 6_f') }));
  });

  it('wait for dependencies on other clusters when they run side by side', async () => {
    const order = /** @type {string[]} */ ([]);
    const slow = migration('1_a', async ({ cluster, query }) => {
      await query('SELECT pg_sleep(0.2)');
      order.push(`1_a ${cluster}`);
    });
    const late = migration('2_b', async ({ cluster }) => void order.push(`2_b ${cluster}`), { targetSchemas: ['billing'], dependencies: ['1_a'] });
    await run([slow, late], (db) => db.migrate({ parallel: true, maxParallel: 4 }));
    expect(order.slice(0, 2).sort()).toEqual(['1_a eu', '1_a us']);
    expect(order[2]).toBe('2_b eu');
  });

  it('show their plan in a dry run and change nothing but the control tables', async () => {
    await run([migration('1_a', 'CREATE TABLE t ()')], async (db) => {
      const { plan, pendingMigrations } = await db.migrate({ dryRun: true });
      expect(pendingMigrations).toBe(2);
      expect(plan).toEqual(['eu', 'us'].map((cluster) => ({ version: '1_a', name: 'a', schema: 'app', cluster, direction: 'up', transaction: true })));
      expect(await rows(db, 'us', "SELECT to_regclass('public.pg_multiverse_migrations')::text AS table, to_regnamespace('app') AS schema")).toEqual([{ table: 'pg_multiverse_migrations', schema: null }]);
    });
  });

  it('are applied on all clusters or on none if they are atomic', async () => {
    const atomic = (/** @type {(context: any) => Promise<void>} */ up) => migration('1_a', up, { atomic: true });
    await run([atomic(async ({ cluster, query }) => void (await query(cluster === 'us' ? 'SELECT * FROM nowhere' : 'CREATE TABLE t ()')))], async (db) => {
      await expect(db.migrate()).rejects.toMatchObject({ failures: [{ cluster: 'eu' }, { cluster: 'us' }] });
      expect(await rows(db, 'eu', "SELECT to_regclass('app.t') AS found")).toEqual([{ found: null }]);
    });
    await run([atomic(async ({ query }) => void (await query('CREATE TABLE t ()')))], async (db) => {
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 2, failedMigrations: 0 });
      for (const cluster of ['eu', 'us']) expect(await rows(db, cluster, 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()')).toEqual([]);
    });
  });

  it('are applied together on clusters that are databases of one server', async () => {
    const third = { uri: await server.createDatabase(`third_${number}`), schemas: ['app'] };
    clusters = { ...clusters, third };
    await run([migration('1_a', 'CREATE TABLE t ()', { atomic: true, targetSchemas: ['app', 'billing'] })], async (db) => {
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 4, failedMigrations: 0 });
      // The second schema of a cluster is made as the first one is.
      expect(await rows(db, 'eu', "SELECT schemaname FROM pg_tables WHERE tablename = 't' ORDER BY 1")).toEqual([{ schemaname: 'app' }, { schemaname: 'billing' }]);
    });
  });

  it('are tried again for a lock that was in their way, also where they are atomic', async () => {
    for (const atomic of [false, true]) {
      const tries = { eu: 0, us: 0 };
      const locked = migration(`1_${atomic}`, async ({ cluster, query }) => {
        tries[/** @type {'eu' | 'us'} */ (cluster)] += 1;
        if (tries.us === 1 && cluster === 'us') await query("DO $$ BEGIN RAISE 'locked' USING ERRCODE = 'lock_not_available'; END $$");
      }, { atomic });
      await run([locked], async (db) => expect(await db.migrate()).toMatchObject({ failedMigrations: 0, pendingMigrations: 0 }), { ddlLockTimeout: 500, allowOutOfOrder: true });
      expect(tries).toEqual({ eu: atomic ? 2 : 1, us: 2 });
    }
  });

  it('may become somebody who has no right to the history, and are recorded all the same', async () => {
    const role = `clerk_${number}`;
    const become = (/** @type {string} */ how) => async (/** @type {any} */ { query }) => {
      await query(`${how} ROLE ${role}`);
      await query('CREATE TABLE of_clerk ()');
      await query('DROP TABLE of_clerk');
    };
    await run([], async (db) => rows(db, 'eu', `CREATE ROLE ${role}; CREATE SCHEMA billing AUTHORIZATION ${role}`));
    const options = { targetSchemas: ['billing'] };
    await run([migration('1_a', become('SET LOCAL'), options), migration('2_b', become('SET'), options), migration('3_c', become('SET'), { ...options, transaction: false })], async (db) => {
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 3, failedMigrations: 0 });
    });
  });

  it('leave nothing of their sessions to those after them, and are recorded in UTC and UTF-8', async () => {
    const talkative = migration('1_grün', async ({ query }) => {
      await query('CREATE TEMP TABLE items (a int)');
      await query('SELECT pg_advisory_lock(1)');
      await query("SET TIME ZONE 'Asia/Tokyo'");
      await query("SET client_encoding = 'LATIN1'");
    }, { targetSchemas: ['app', 'billing'] });
    const plain = migration('2_b', 'CREATE TABLE items (a int); ALTER TABLE items ADD COLUMN b int', { targetSchemas: ['billing'] });
    await run([talkative, plain], async (db, manager) => {
      expect(await db.migrate({ parallel: true, maxParallel: 3 })).toMatchObject({ appliedMigrations: 4, failedMigrations: 0 });
      expect(await rows(db, 'eu', "SELECT count(*)::int AS columns FROM information_schema.columns WHERE table_schema = 'billing' AND table_name = 'items'")).toEqual([{ columns: 2 }]);
      for (const { version, executedAt } of await manager.getStates()) {
        expect(['1_grün', '2_b']).toContain(version);
        expect(Math.abs(executedAt.getTime() - Date.now())).toBeLessThan(120_000);
      }
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 4 });
    });
  });

  it('whose connection is lost are known to have failed, so that the next run applies them', async () => {
    let dies = true;
    const dying = migration('1_a', async ({ query }) => {
      if (dies) await query('SELECT pg_terminate_backend(pg_backend_pid())');
    }, { targetSchemas: ['billing'] });
    await run([dying, migration('2_b', 'SELECT 1', { targetSchemas: ['billing'] })], async (db, manager) => {
      expect(await db.migrate({ continueOnError: true })).toMatchObject({ appliedMigrations: 1, failedMigrations: 1 });
      expect(await manager.getStates()).toMatchObject([{ version: '1_a', state: 'failed', message: expect.stringContaining('terminat') }, { version: '2_b', state: 'applied' }]);
      dies = false;
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 2, failedMigrations: 0 });
    });
  });

  it('that a runner had prepared when it died are settled as the deciding cluster says', async () => {
    const atomic = migration('1_a', 'CREATE TABLE t ()', { atomic: true });
    const later = migration('2_b', async ({ query, cluster }) => void (await query(cluster === 'us' ? 'CREATE TABLE u ()' : 'SELECT 1')), { atomic: true });
    await run([atomic], (db) => db.migrate());
    await run([atomic, later], async (db) => {
      // The second cluster prepared and the first never committed: the transaction must be rolled back.
      const hash = async (/** @type {string} */ text) => (await rows(db, 'us', "SELECT left(encode(sha256($1::bytea), 'hex'), 16) AS hash", [Buffer.from(text)]))[0].hash;
      const [table, decider, step] = [await hash('pg_multiverse_migrations'), await hash('eu'), await hash('2_b\napp')];
      const prepare = async () => {
        const client = await db.getConnection({ clusterId: 'us' });
        await client.query(`BEGIN; CREATE TABLE app.u (); PREPARE TRANSACTION 'replicaverse-migration:${table}:${decider}:up:${step}:1:${await hash('us')}'`);
        client.release();
      };
      const left = () => rows(db, 'us', 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
      await prepare();
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 4 });
      expect(await left()).toEqual([]);
      // Whoever holds this lock has yet to decide.
      await rows(db, 'us', 'DROP TABLE app.u');
      await prepare();
      const holder = await db.getConnection({ clusterId: 'eu' });
      const [{ key }] = (await holder.query("SELECT ('x' || left(encode(sha256(left($1, -17)::bytea), 'hex'), 16))::bit(64)::bigint::text AS key", [(await left())[0].gid])).rows;
      await holder.query(`BEGIN; SELECT pg_advisory_xact_lock(${key})`);
      await expect(run([], (later) => later.migrate(), { lockTimeout: 500 })).rejects.toThrow('lock timeout');
      expect(await left()).toHaveLength(1);
      await holder.query('COMMIT');
      holder.release();
      await run([], (later) => later.migrate());
      expect(await left()).toEqual([]);
      // Once the first has committed, the second must: whatever migrations are known by then.
      await rows(db, 'us', 'DROP TABLE app.u');
      await prepare();
      await run([], (later) => later.migrate());
      expect(await left()).toEqual([]);
      expect(await rows(db, 'us', "SELECT to_regclass('app.u')::text AS found")).toEqual([{ found: 'app.u' }]);
    });
  });

  it('are marked, and begin from a baseline, without running', async () => {
    const ran = /** @type {string[]} */ ([]);
    const one = (/** @type {string} */ version) => migration(version, async () => void ran.push(version), { targetSchemas: ['billing'] });
    await run([one('1_a'), one('2_b'), one('3_c')], async (db, manager) => {
      await expect(manager.baseline({ version: '2_nobody' })).rejects.toThrow('Migration 2_nobody not found');
      const earnest = /** @type {any} */ ({ dryRun: 'plan' });
      await expect(async () => db.migrate(earnest)).rejects.toThrow("dryRun: expected true, false or 'execute'");
      expect(await manager.getStatus()).toMatchObject({ appliedMigrations: 0, pendingMigrations: 3 });
      expect(await manager.baseline({ version: '2_b' })).toMatchObject({ appliedMigrations: 2, pendingMigrations: 1 });
      await db.migrate();
      expect(ran).toEqual(['3_c']);
      expect(await manager.mark({ version: '3_c', as: 'pending' })).toMatchObject({ appliedMigrations: 2, pendingMigrations: 1 });
    });
  });

  it('are refused where they are not enabled, not complete, or for names that nobody has', async () => {
    await run([], async (db) => {
      expect(() => db.addMigration({ ...migration('1_a', ''), version: '' })).toThrow('Migration version is required');
      expect(() => db.addMigration({ ...migration('1_a', ''), targetSchemas: [] })).toThrow('Migration must target at least one schema');
      expect(() => db.addMigration({ ...migration('1_a', ''), down: undefined })).toThrow('Migration down function is required');
      await expect(db.migrate({ targetSchemas: ['x'] })).rejects.toThrow('No cluster configured for schema: x');
      await expect(db.migrate({ targetClusters: ['x'] })).rejects.toThrow('Cluster not found: x');
    });
    await expect(run([], async () => undefined, { lockTimout: 5 })).rejects.toThrow('migrations.lockTimout: there is no such option');
    await expect(run([], async () => undefined, { logger: silent })).resolves.toBeUndefined();
  });
});
