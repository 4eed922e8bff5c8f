// The command pgm lint: what it prints, how it ends, what it measures; and what migrate says of what is pending.
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { requireServer } from '../../../../scripts/servers/index.mjs';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { migration, silent, withFolder, withMigrations } from './folder.mjs';
import { pgm, pgmInTerminal } from './pgm-process.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const INDEX = '-- schemas: public\n\n-- up\nCREATE INDEX i ON t (a);\n-- down\nDROP INDEX i;\n';

it('prints findings with their line, reason and safe way, and fails from the severity that is named', async () => {
  await withFolder({ '1_index.sql': INDEX, '2_ignored.sql': INDEX.replace('CREATE', '-- pgm-lint-ignore index-not-concurrent: small\nCREATE') }, async (folder) => {
    const plain = await pgm(folder, ['lint', '-m', '.']);
    expect(plain).toMatchObject({ code: 1, errors: '' });
    expect(plain.output).toBe(`1_index.sql
  4  error  index-not-concurrent  t, SHARE
     CREATE INDEX blocks all writes to the table until the index is built.
     Safe: CREATE INDEX CONCURRENTLY, in a migration of its own with -- no-transaction.
  4  warning  missing-lock-timeout  t, SHARE
     The statement waits for every query on the table, and all later queries wait behind it, however long.
     Safe: SET LOCAL lock_timeout = '2s' before it, or the option ddlLockTimeout, with which it is tried again.

2_ignored.sql
  5  warning  missing-lock-timeout  t, SHARE
     The statement waits for every query on the table, and all later queries wait behind it, however long.
     Safe: SET LOCAL lock_timeout = '2s' before it, or the option ddlLockTimeout, with which it is tried again.

⚠️  2 migrations: 1 errors, 2 warnings, 0 notices, 1 ignored, 0 not seen
`);
    expect(await pgm(folder, ['lint', join(folder, '2_ignored.sql')])).toMatchObject({ code: 0 });
    await writeFile(join(folder, '3_script.mjs'), "export default { version: '3_script', name: 'n', targetSchemas: ['public'], async up() {}, async down() {} };");
    for (const args of [['lint', '-m', '.', '--fail-on', 'never'], ['lint', '3_script.mjs'], ['lint', './3_script.mjs']]) expect(await pgm(folder, args)).toMatchObject({ code: 0, errors: '' });
    expect(await pgm(folder, ['lint', join(folder, '2_ignored.sql'), '--fail-on', 'warning'])).toMatchObject({ code: 1 });
    expect(await pgm(folder, ['lint', '-m', '.', '--ignore', 'index-not-concurrent'])).toMatchObject({ code: 0 });
    expect(await pgm(folder, ['lint', '-m', '.', '--fail-on', 'never'])).toMatchObject({ code: 0 });
    expect(await pgm(folder, ['lint', '-m', '.', '--ignore', 'nonsense'])).toMatchObject({ code: 1, errors: '❌ Failed to lint migrations: there is no lint rule nonsense\n' });
    expect(await pgm(folder, ['lint', '--fail-on', 'nonsense'])).toMatchObject({ code: 2 });
  });
}, 120_000);

it('prints one JSON document of a stable shape, and colours in a terminal', async () => {
  await withFolder({ '1_index.sql': INDEX }, async (folder) => {
    const { code, output } = await pgm(folder, ['lint', '-m', '.', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(output)).toEqual({
      summary: { migrations: 1, errors: 1, warnings: 1, notices: 0, ignored: 0 },
      findings: [
        expect.objectContaining({ rule: 'index-not-concurrent', severity: 'error', version: '1_index', file: '1_index.sql', line: 4, statement: 'CREATE INDEX I ON', subject: 't', lock: 'SHARE' }),
        expect.objectContaining({ rule: 'missing-lock-timeout', severity: 'warning' }),
      ],
      unseen: [],
    });
    const terminal = await pgmInTerminal(folder, ['lint', '-m', '.']);
    expect(terminal.code).toBe(1);
    expect(terminal.output).toContain('\u001b[31merror\u001b[0m  index-not-concurrent');
    const { rules } = JSON.parse((await pgm(folder, ['lint', '--rules', '--json'])).output);
    expect(rules.length).toBeGreaterThanOrEqual(30);
    for (const rule of rules) expect(Object.keys(rule).sort()).toEqual(['id', 'reason', 'remedy', 'severity']);
  });
}, 120_000);

it('measures on a scratch copy which locks statements take, and leaves nothing behind', async () => {
  const uri = await server.createDatabase('measured');
  const files = {
    '1_column.sql': '-- schemas: public\n-- up\nALTER TABLE t ADD COLUMN b int;\nCREATE TABLE own (id bigint PRIMARY KEY);\n-- down\nSELECT 1;\n',
    '2_index.sql': '-- schemas: public\n-- no-transaction\n-- up\nCREATE INDEX CONCURRENTLY i ON t (b);\n-- down\nSELECT 1;\n',
    '3_check.cjs': "module.exports = { version: '3_check', name: 'check', targetSchemas: ['public'], createdAt: new Date(0), async up({ query }) { await query('CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()'); }, async down() {} };",
    '4_outside.cjs': "module.exports = { version: '4_outside', name: 'outside', targetSchemas: ['public'], createdAt: new Date(0), async up() { process.exitCode = 7; }, async down() {} };",
  };
  await withFolder(files, async (folder) => {
    await writeFile(join(folder, 'clusters.json'), JSON.stringify({ main: { schemas: ['public'], primary: addressOf(uri) } }));
    await withMigrations({ main: { uri, schemas: ['public'] } }, {}, async (db) => {
      await db.query('CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');
    });
    const { bin } = await requireServer('postgres');
    const PATH = `${bin}${delimiter}${process.env.PATH}`;
    const { output, errors } = await pgm(folder, ['lint', '-m', '.', '-c', 'clusters.json', '--measure', '--json'], { PATH });
    expect(errors).toBe('');
    const { measured } = JSON.parse(output);
    expect(Object.keys(measured.statements[0]).sort()).toEqual(['cluster', 'line', 'locks', 'milliseconds', 'schema', 'statement', 'version', 'waited']);
    const seen = measured.statements.map((/** @type {any} */ { version, line, locks, waited }) => ({ version, line, locks: locks.filter((/** @type {any} */ { blocks }) => blocks !== 'nothing'), waited }));
    expect(seen).toEqual([
      { version: '1_column', line: 3, locks: [{ relation: 'public.t', mode: 'AccessExclusiveLock', blocks: 'reads and writes' }], waited: false },
      { version: '1_column', line: 4, locks: [], waited: false },
      { version: '2_index', line: 4, locks: [{ relation: 'public.t', mode: 'ShareUpdateExclusiveLock', blocks: 'changes of the table' }], waited: true },
      { version: '3_check', line: null, locks: [{ relation: 'public.t', mode: 'ShareRowExclusiveLock', blocks: 'writes' }], waited: false },
    ]);
    for (const { milliseconds } of measured.statements) expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect(measured.unmeasured).toEqual([{ version: '4_outside', schema: 'public', cluster: 'main', reason: 'its functions reach more than the database, so that they are not run' }]);
    await withMigrations({ main: { uri, schemas: ['public'] } }, {}, async (db) => {
      expect((await db.query("SELECT datname FROM pg_database WHERE datname LIKE 'pgm\\_scratch%'")).rows).toEqual([]);
      expect((await db.query("SELECT to_regclass('own') AS own, count(*)::int AS columns FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0")).rows).toEqual([{ own: null, columns: 1 }]);
    });
  });
}, 120_000);

it('migrate warns of errors in what is pending, refuses them, or says nothing', async () => {
  const clusters = { main: { uri: await server.createDatabase('warned'), schemas: ['public'] } };
  const warnings = /** @type {string[]} */ ([]);
  const logger = { ...silent, warn: (/** @type {string} */ message) => void warnings.push(message) };
  const drop = migration('2_drop', async ({ query }) => void (await query('DROP TABLE t CASCADE')), { targetSchemas: ['public'] });
  await withMigrations(clusters, { lint: 'refuse' }, async (db) => {
    await db.query('CREATE TABLE t (a int)');
    db.addMigration(drop);
    await expect(db.migrate()).rejects.toMatchObject({ code: 'ERR_MIGRATION_LINT', message: expect.stringContaining('drop-cascade (t)') });
    expect((await db.getMigrationStatus()).pendingMigrations).toBe(1);
  });
  await withFolder({ '1_index.sql': INDEX }, (migrationsPath) =>
    withMigrations(clusters, { migrationsPath, logger }, async (db) => {
      db.addMigration(drop);
      await db.migrate();
      expect(warnings).toEqual([expect.stringMatching(/^1_index\.sql:4 index-not-concurrent \(t\): /), expect.stringMatching(/^2_drop:1 drop-cascade \(t\): /)]);
      await db.migrate();
      expect(warnings).toHaveLength(2);
      await db.query('CREATE TABLE t (a int)');
    }),
  );
  await withMigrations(clusters, { lint: 'off', logger }, async (db) => {
    db.addMigration({ ...drop, version: '3_drop' });
    await db.migrate();
    expect(warnings.filter((warning) => warning.startsWith('3_drop'))).toEqual([]);
  });
});
