// Histories that pg-multiverse wrote, checksums, and locks that it holds.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { migration, silent, withFolder, withMigrations } from './folder.mjs';

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
  clusters = { main: { uri: await server.createDatabase(`history_${number}`), schemas: ['public'] } };
});

const HISTORY = `CREATE TABLE pg_multiverse_migrations (id SERIAL PRIMARY KEY, version VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL,
  schema_name VARCHAR(255) NOT NULL, cluster_id VARCHAR(255) NOT NULL, executed_at TIMESTAMP DEFAULT NOW(), execution_time INTEGER NOT NULL,
  checksum VARCHAR(255) NOT NULL, batch INTEGER, UNIQUE (version, schema_name, cluster_id))`;
const LOCKS = `CREATE TABLE pg_multiverse_migration_locks (id SERIAL PRIMARY KEY, lock_key VARCHAR(255) UNIQUE NOT NULL, locked_at TIMESTAMP DEFAULT NOW(),
  locked_by VARCHAR(255) NOT NULL, expires_at TIMESTAMP NOT NULL)`;
const INSERT = `INSERT INTO pg_multiverse_migrations (version, name, schema_name, cluster_id, execution_time, checksum) VALUES ($1, 'a', 'public', 'main', 5, $2)`;
const sum = (/** @type {any} */ { up, down }) => createHash('sha256').update(`${up}${down}`).digest('hex');
const one = (/** @type {string} */ version, /** @type {any} */ up = 'SELECT 1') => migration(version, up, { targetSchemas: ['public'] });

it('a history of pg-multiverse is gone on with', async () => {
  const [first, second] = [one('20250101T120000_a'), one('20250101T130000_b', 'CREATE TABLE b ()')];
  await withMigrations(clusters, {}, async (db) => {
    await db.query(HISTORY);
    await db.query(LOCKS);
    await db.query(INSERT, [first.version, sum(first)]);
    db.addMigration(first);
    db.addMigration(second);
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 2, pendingMigrations: 0 });
    const { rows } = await db.query('SELECT checksum FROM pg_multiverse_migrations WHERE version = $1', [second.version]);
    expect(rows).toEqual([{ checksum: sum(second) }]);
  });
});

it('times of the history are told in UTC, whatever the zone and the style of the server', async () => {
  await withMigrations(clusters, {}, (db) => db.query(`ALTER DATABASE history_${number} SET timezone = 'Asia/Tokyo'; ALTER DATABASE history_${number} SET datestyle = 'German, DMY'`));
  await withMigrations(clusters, {}, async (db, manager) => {
    db.addMigration(one('1_a'));
    const before = Date.now();
    await db.migrate();
    const [state] = await manager.getStates();
    // The server's clock is this machine's.
    expect(state?.executedAt?.getTime()).toBeGreaterThanOrEqual(before - 1000);
    expect(state?.executedAt?.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
  });
});

it('a migration that was changed after it was applied stops everything, naming both sums', async () => {
  const before = one('1_a', async () => {});
  const after = one('1_a', async () => void 0);
  await withMigrations(clusters, {}, async (db) => {
    db.addMigration(before);
    await db.migrate();
  });
  await withMigrations(clusters, {}, async (db, manager) => {
    db.addMigration(after);
    const error = await db.migrate().catch((/** @type {any} */ thrown) => thrown);
    expect(error.code).toBe('ERR_MIGRATION_CHECKSUM');
    expect(error.message).toContain(sum(before));
    expect(error.message).toContain(sum(after));
    await manager.repair({ checksums: true });
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 1 });
  });
  await withMigrations(clusters, { validateChecksums: false }, async (db) => {
    db.addMigration(before);
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 1 });
  });
});

it('a sum of a TypeScript file that nobody can compute again is adopted once, with a warning', async () => {
  const text = (/** @type {string} */ sql) => `import { Migration } from 'pg-multiverse';
const migration: Migration = { version: '1_a', name: 'a', targetSchemas: ['public'], createdAt: new Date(0),
  async up(context): Promise<void> { await context.query('${sql}'); }, async down() {} };
export default migration;`;
  const warnings = /** @type {string[]} */ ([]);
  const logger = { ...silent, warn: (/** @type {string} */ message) => void warnings.push(message) };
  const migrate = (/** @type {string} */ sql) =>
    withFolder({ '1_a.ts': text(sql) }, (migrationsPath) => withMigrations(clusters, { migrationsPath, logger }, (db) => db.migrate()));
  await withMigrations(clusters, {}, async (db) => {
    await db.query(HISTORY);
    await db.query(INSERT, ['1_a', 'of another transpiler']);
  });
  await migrate('SELECT 1');
  expect(warnings).toEqual([expect.stringContaining('1_a.ts is taken to be unchanged')]);
  await migrate('SELECT 1');
  expect(warnings).toHaveLength(1);
  await expect(migrate('SELECT 2')).rejects.toThrow('1_a.ts has checksum');
});

it('a lock that pg-multiverse holds is waited for, and one that has expired is taken over', async () => {
  const lock = async (/** @type {any} */ db, /** @type {string} */ expires) => {
    await db.query(`${LOCKS.replace('TABLE', 'TABLE IF NOT EXISTS')}`);
    await db.query(`INSERT INTO pg_multiverse_migration_locks (lock_key, locked_by, expires_at) VALUES ('1_a-public-main', '4711-1', LOCALTIMESTAMP + $1::interval)
      ON CONFLICT (lock_key) DO UPDATE SET expires_at = excluded.expires_at`, [expires]);
  };
  await withMigrations(clusters, { lockTimeout: 300 }, async (db) => {
    db.addMigration(one('1_a'));
    await lock(db, '1 hour');
    const error = await db.migrate().catch((/** @type {any} */ thrown) => thrown);
    expect(error.failures[0].error).toMatchObject({ code: 'ERR_MIGRATION_LOCKED', message: expect.stringContaining('4711-1 since') });
    await lock(db, '-1 second');
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 1 });
  });
});
