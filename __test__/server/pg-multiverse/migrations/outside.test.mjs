// Migrations outside of a transaction: what is known when they stop half-way, and how they go on.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { migration, withFolder, withMigrations } from './folder.mjs';

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
  clusters = { main: { uri: await server.createDatabase(`outside_${number}`), schemas: ['public'] } };
});

const one = (/** @type {any} */ up, more = {}) => migration('1_a', up, { targetSchemas: ['public'], ...more });
const tables = async (/** @type {any} */ db) =>
  (await db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 't_' ORDER BY 1", [], { operation: 'write' })).rows.map((/** @type {any} */ row) => row.tablename);

it('a function that begins and commits itself keeps what it committed, and is known to be half-done', async () => {
  let isBroken = true;
  const own = one(async (/** @type {any} */ { query }) => {
    await query('CREATE TABLE IF NOT EXISTS t1 ()');
    await query('BEGIN');
    await query('CREATE TABLE IF NOT EXISTS t2 ()');
    await query('COMMIT');
    await query('BEGIN');
    await query('CREATE TABLE t3 ()');
    if (isBroken) throw new Error('half-way');
    await query('COMMIT');
  });
  await withMigrations(clusters, {}, async (db, manager) => {
    db.addMigration(own);
    await expect(db.migrate()).rejects.toThrow('half-way');
    expect(await tables(db)).toEqual(['t1', 't2']);
    expect(await manager.getStates()).toMatchObject([{ version: '1_a', state: 'broken', message: expect.stringContaining('half-way') }]);
    await expect(db.migrate()).rejects.toMatchObject({ code: 'ERR_MIGRATION_HALF_DONE', message: expect.stringContaining('--resume') });
    isBroken = false;
    expect(await db.migrate({ resume: true })).toMatchObject({ appliedMigrations: 1, failedMigrations: 0 });
    expect(await tables(db)).toEqual(['t1', 't2', 't3']);
  });
});

it('an atomic migration that has but one place may run what stands alone', async () => {
  await withMigrations(clusters, {}, async (db) => {
    db.addMigration(one('VACUUM', { atomic: true, targetSchemas: ['public'] }));
    expect(await db.migrate()).toMatchObject({ appliedMigrations: 1 });
  });
});

it('SQL without a transaction goes on after the last statement that has run', async () => {
  const file = (/** @type {string} */ third) => `-- schemas: public
-- no-transaction
-- up
CREATE TABLE t1 (a int);
INSERT INTO t1 VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY t1_a ON t1 (a);
${third}
`;
  const migrate = (/** @type {string} */ third, options = {}) =>
    withFolder({ '1_a.sql': file(third) }, (migrationsPath) => withMigrations(clusters, { migrationsPath, validateChecksums: false }, (db) => db.migrate(options)));
  const error = await migrate('CREATE TABLE t2 ();').catch((thrown) => thrown);
  expect(error.failures[0].error.message).toContain('1_a.sql:6: could not create unique index');
  await withMigrations(clusters, {}, async (db) => {
    expect((await db.query('SELECT statement, state FROM replicaverse_migration_state')).rows).toEqual([{ statement: 2, state: 'broken' }]);
    await db.query('DELETE FROM t1 WHERE ctid NOT IN (SELECT min(ctid) FROM t1)');
  });
  expect(await migrate('CREATE TABLE t2 ();', { resume: true })).toMatchObject({ appliedMigrations: 1 });
  await withMigrations(clusters, {}, async (db) => {
    expect(await tables(db)).toEqual(['t1', 't2']);
    expect((await db.query('SELECT count(*)::int AS rows FROM t1')).rows).toEqual([{ rows: 1 }]);
    expect((await db.query("SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 't1_a'::regclass")).rows).toEqual([{ valid: true }]);
  });
});

it('SQL of which statements that have run were changed is not continued', async () => {
  const file = (/** @type {string} */ first) => `-- schemas: public\n-- no-transaction\n-- up\n${first}\nINSERT INTO t1 SELECT 1 / (SELECT count(*) FROM t2);\n`;
  const migrate = (/** @type {string} */ first, options = {}) => withFolder({ '1_a.sql': file(first) }, (migrationsPath) => withMigrations(clusters, { migrationsPath }, (db) => db.migrate(options)));
  await withMigrations(clusters, {}, async (db) => void (await db.query('CREATE TABLE t2 ()')));
  await expect(migrate('CREATE TABLE t1 (a int);')).rejects.toThrow('division by zero');
  for (const other of ['CREATE TABLE t1 (a bigint);', 'CREATE TABLE t3 (); CREATE TABLE t1 (a int);', '']) {
    await expect(migrate(other, { resume: true })).rejects.toThrow('the 1 statement(s) that have run are not those with which it begins now');
  }
  await withMigrations(clusters, {}, async (db) => {
    expect(await tables(db)).toEqual(['t1', 't2']);
    await db.query('INSERT INTO t2 DEFAULT VALUES');
  });
  expect(await migrate('CREATE TABLE t1 (a int); -- as before', { resume: true })).toMatchObject({ appliedMigrations: 1 });
});

it('SQL that goes on has what it had set before, in chained transactions too, and not without its file', async () => {
  const file = '-- schemas: public\n-- no-transaction\nSET search_path TO other;\nBEGIN;\nCREATE TABLE t1 ();\nCOMMIT AND CHAIN;\nCREATE TABLE t3 ();\nROLLBACK;\nSELECT 1 / (SELECT count(*) FROM public.t2);\nCREATE TABLE t4 ();\n';
  await withMigrations(clusters, {}, (db) => db.query('CREATE SCHEMA other; CREATE TABLE t2 ()'));
  await withFolder({ '1_a.sql': file }, (migrationsPath) =>
    withMigrations(clusters, { migrationsPath }, async (db) => {
      await expect(db.migrate()).rejects.toThrow('division by zero');
      await withMigrations(clusters, {}, (other) => expect(other.migrate({ resume: true })).rejects.toMatchObject({ code: 'ERR_MIGRATION_HALF_DONE' }));
      await db.query('INSERT INTO t2 DEFAULT VALUES');
      expect(await db.migrate({ resume: true })).toMatchObject({ appliedMigrations: 1 });
      const made = await db.query("SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE tablename LIKE 't_' ORDER BY 1", [], { operation: 'write' });
      expect(made.rows.map((/** @type {any} */ row) => row.name)).toEqual(['other.t1', 'other.t4', 'public.t2']);
    }),
  );
});

it('a function that leaves its transaction keeps what it has set', async () => {
  const own = one(async (/** @type {any} */ { query }) => {
    await query('SET search_path TO other');
    await query('COMMIT');
    await query('CREATE TABLE t1 ()');
  });
  await withMigrations(clusters, {}, async (db) => {
    await db.query('CREATE SCHEMA other');
    db.addMigration(own);
    await db.migrate();
    expect((await db.query("SELECT schemaname FROM pg_tables WHERE tablename = 't1'", [], { operation: 'write' })).rows).toEqual([{ schemaname: 'other' }]);
  });
});

it('one that stopped while it was taken back names the command that continues that', async () => {
  let isBroken = true;
  const down = async () => {
    if (isBroken) throw new Error('half-way');
  };
  await withMigrations(clusters, {}, async (db, manager) => {
    db.addMigration(one('SELECT 1', { down, transaction: false }));
    await db.migrate();
    await expect(db.rollback()).rejects.toThrow('half-way');
    expect(await manager.getStates()).toMatchObject([{ state: 'broken', direction: 'down' }]);
    await expect(db.migrate()).rejects.toThrow('pgm rollback --resume');
    isBroken = false;
    expect(await db.rollback({ resume: true })).toMatchObject({ pendingMigrations: 1, failedMigrations: 0 });
  });
});

it('SQL without a transaction may commit in blocks of code and in procedures', async () => {
  const file = `-- schemas: public
-- no-transaction
-- up
CREATE TABLE t1 (a int, b int);
INSERT INTO t1 SELECT generate_series(1, 100);
DO $$ BEGIN LOOP
  UPDATE t1 SET b = a WHERE ctid IN (SELECT ctid FROM t1 WHERE b IS NULL LIMIT 30);
  EXIT WHEN NOT FOUND;
  COMMIT;
END LOOP; END $$;
CREATE PROCEDURE p1() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t1 VALUES (0, 0); COMMIT; END $$;
CALL p1();
`;
  await withFolder({ '1_a.sql': file }, (migrationsPath) =>
    withMigrations(clusters, { migrationsPath }, async (db) => {
      expect(await db.migrate()).toMatchObject({ appliedMigrations: 1, failedMigrations: 0 });
      expect((await db.query('SELECT count(b)::int AS rows FROM t1', [], { operation: 'write' })).rows).toEqual([{ rows: 101 }]);
    }),
  );
});

it('an error in SQL is named with its own line, wherever its statement begins', async () => {
  const problem = (/** @type {string} */ text) =>
    withFolder({ '1_a.sql': text }, (migrationsPath) => withMigrations(clusters, { migrationsPath }, (db) => db.migrate().then(() => 'none', (error) => error.message)));
  expect(await problem('-- schemas: public\nCREATE TABLE t1 ();\n\nCREATE TABLEX t2 ();\n')).toContain('1_a.sql:4: syntax error');
  expect(await problem('-- schemas: public\nCREATE TABLE t1 (\n  a int,\n  b nonsense\n);\n')).toContain('1_a.sql:4: type "nonsense"');
});

it('SQL is tried out statement by statement and rolled back', async () => {
  const files = { '1_a.sql': '-- schemas: public\nCREATE TABLE t1 ();', '2_b.sql': '-- schemas: public\n-- no-transaction\nVACUUM;' };
  await withFolder(files, (migrationsPath) =>
    withMigrations(clusters, { migrationsPath }, async (db) => {
      const { plan } = await db.migrate({ dryRun: 'execute' });
      expect(plan?.map(({ version, executed }) => [version, executed])).toEqual([['1_a', true], ['2_b', false]]);
      expect(await tables(db)).toEqual([]);
    }),
  );
  await withFolder({ '1_a.sql': '-- schemas: public\n\nCREATE TABLE t1 (a nonsense);' }, (migrationsPath) =>
    withMigrations(clusters, { migrationsPath }, (db) => expect(db.migrate({ dryRun: 'execute' })).rejects.toThrow('1_a.sql:3: type "nonsense" does not exist')),
  );
});

it('what a person found out settles a migration that stopped half-way', async () => {
  await withMigrations(clusters, {}, async (db, manager) => {
    db.addMigration(one(async (/** @type {any} */ { query }) => void (await query('nonsense')), { transaction: false }));
    await expect(db.migrate()).rejects.toThrow('syntax error');
    await expect(manager.repair()).rejects.toThrow('say what it is');
    expect(await manager.repair({ as: 'pending' })).toMatchObject({ pendingMigrations: 1, failedMigrations: 0 });
    await expect(db.migrate()).rejects.toThrow('syntax error');
    expect(await manager.repair({ as: 'applied' })).toMatchObject({ appliedMigrations: 1, failedMigrations: 0 });
  });
});
