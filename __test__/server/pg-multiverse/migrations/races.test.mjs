// Several runners at one time.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../../support/index.mjs';
import { clustersOf, migration, silent, withMigrations } from './folder.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 250 } });
});
afterAll(() => server.remove());

const RUNNERS = 50;

it('two migrators never race, nor deadlock on CREATE INDEX CONCURRENTLY', async () => {
  const clusters = { main: { uri: await server.createDatabase('races'), schemas: ['app'], max: 3 } };
  const ran = /** @type {string[]} */ ([]);
  const table = migration('1_table', async ({ query }) => {
    ran.push('table');
    await query('CREATE TABLE items (id int, name text)');
    await query("INSERT INTO items SELECT n, 'x' FROM generate_series(1, 1000) AS n");
  });
  const index = migration('2_index', async ({ query }) => {
    ran.push('index');
    await query('CREATE INDEX CONCURRENTLY items_name ON items (name)');
  });
  const column = migration('3_column', async ({ query }) => {
    ran.push('column');
    await query('ALTER TABLE items ADD COLUMN at timestamptz');
  });
  const runners = /** @type {PgMultiverse[]} */ ([]);
  try {
    for (let runner = 0; runner < RUNNERS; runner += 1) {
      const db = new PgMultiverse({ enableMigrations: true, migrations: { migrationsPath: '/nonexistent', logger: silent, createSchemas: true } });
      await db.initialize(clustersOf(clusters));
      for (const each of [table, index, column]) db.addMigration(each);
      runners.push(db);
    }
    const statuses = await Promise.all(runners.map((db) => db.migrate()));
    for (const status of statuses) expect(status).toMatchObject({ appliedMigrations: 3, pendingMigrations: 0, failedMigrations: 0 });
  } finally {
    await Promise.all(runners.map((db) => db.close()));
  }
  expect(ran).toEqual(['table', 'index', 'column']);
  await withMigrations(clusters, {}, async (db) => {
    const { rows } = await db.query('SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = $1::regclass', ['app.items_name']);
    expect(rows).toEqual([{ valid: true }]);
  });
}, 120_000);

it('a runner that waits too long says who holds the lock, and since when', async () => {
  const clusters = { main: { uri: await server.createDatabase('waiting'), schemas: ['app'] } };
  /** @type {() => void} */
  let finish = () => {};
  const held = new Promise((resolve) => (finish = () => resolve(undefined)));
  let hasBegun = false;
  const slow = migration('1_slow', async () => {
    hasBegun = true;
    await held;
  });
  const first = withMigrations(clusters, {}, async (db) => {
    db.addMigration(slow);
    return db.migrate();
  });
  await eventually(() => hasBegun, { what: 'the slow migration to begin' });
  await withMigrations(clusters, { lockTimeout: 2_000 }, async (db, manager) => {
    const told = /** @type {any[]} */ ([]);
    manager.on('lockWaiting', (event) => told.push(event));
    const error = await db.migrate().catch((/** @type {any} */ thrown) => thrown);
    expect(error).toMatchObject({ code: 'ERR_MIGRATION_LOCKED', retryable: true });
    expect(error.message).toMatch(new RegExp(`migrations: process ${process.pid} on .* since \\d{4}-\\d\\d-\\d\\dT`));
    expect(told).toHaveLength(1);
    // Looking needs no lock.
    db.addMigration(slow);
    expect(await db.getMigrationStatus()).toMatchObject({ pendingMigrations: 1 });
  });
  finish();
  expect(await first).toMatchObject({ appliedMigrations: 1 });
});

it('a migration that a lock was in the way of is tried again', async () => {
  const clusters = { main: { uri: await server.createDatabase('retrying'), schemas: ['public'] } };
  await withMigrations(clusters, { ddlLockTimeout: 100 }, async (db, manager) => {
    await db.query('CREATE TABLE busy ()');
    const holder = await db.getConnection();
    await holder.query('BEGIN; LOCK TABLE busy');
    const attempts = /** @type {any[]} */ ([]);
    manager.on('migrationRetried', (event) => {
      attempts.push(event.attempt);
      if (event.attempt === 2) holder.release();
    });
    db.addMigration(migration('1_a', 'ALTER TABLE busy ADD COLUMN a int', { targetSchemas: ['public'] }));
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 1 });
    expect(attempts[0]).toBe(2);
  });
});
