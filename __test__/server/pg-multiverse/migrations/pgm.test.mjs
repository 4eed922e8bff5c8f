// The command pgm as a process: its output, its exit codes, and that it always ends.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { withFolder } from './folder.mjs';
import { pgm, pgmReadOnce } from './pgm-process.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

it('makes, applies, tells of and takes back migrations', async () => {
  await withFolder({}, async (folder) => {
    const { password, ...address } = addressOf(await server.createDatabase('pgm'));
    const config = { clusters: { main: { schemas: ['public'], primary: { ...address, port: '${DB_PORT}', password: '${DB_PASSWORD}' } } }, migrations: { migrationsPath: './changes' } };
    await writeFile(join(folder, 'pgm.config.json'), JSON.stringify(config));
    const env = { DB_PORT: String(address.port), DB_PASSWORD: password };
    const run = (/** @type {string[]} */ ...args) => pgm(folder, args, env);

    const missing = await run('create', 'first');
    expect(missing).toMatchObject({ code: 1, errors: '❌ --schemas is required\n' });
    const created = await run('create', 'first', '--schemas', 'public', '--sql');
    const path = /^✅ Migration created: (.*)\n$/.exec(created.output)?.[1] ?? '';
    const version = /(\d{14}_first)\.sql$/.exec(path)?.[1] ?? '';
    await writeFile(path, `${await readFile(path, 'utf8')}`.replace('-- up\n', '-- up\nCREATE TABLE t ();\n').replace('-- down\n', '-- down\nDROP TABLE t;\n'));

    expect(await run('list')).toEqual({ code: 0, output: `📋 Available Migrations:\n  ${version} - first\n`, errors: '' });
    const dry = await run('migrate', '--dry-run');
    expect(dry.output).toContain(`1. ${version} on public@main`);
    expect(dry.output).toContain('DRY RUN');
    expect((await run('status', '--check')).code).toBe(1);

    const migrated = await run('migrate');
    expect(migrated).toMatchObject({ code: 0, errors: '' });
    expect(migrated.output.replace(/\(\d+ ms\)/, '(5 ms)')).toBe(
      `🚀 Starting migration process...\n  ✓ applied ${version} on public@main (5 ms)\n\n📊 Migration Status:\n  Total migrations: 1\n  Applied: 1\n  Pending: 0\n  Failed: 0\n\n✅ Migration process completed\n`,
    );
    const status = await run('status');
    expect(status.output).toContain('📊 Migration Status:\n  Total migrations: 1\n  Applied: 1\n  Pending: 0\n  Failed: 0\n');
    expect(status.output).toContain(`    Last applied: ${version}\n`);
    const json = JSON.parse((await run('status', '--json')).output);
    expect(json).toMatchObject({ appliedMigrations: 1, migrations: [{ version, state: 'applied' }] });
    expect(await run('status', '--check')).toMatchObject({ code: 0 });
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('CREATE TABLE t ()', 'CREATE TABLE t (n int)'));
    const changed = JSON.parse((await run('status', '--json')).output);
    expect(changed).toMatchObject({ appliedMigrations: 1, pendingMigrations: 0, migrations: [{ version, state: 'changed', message: expect.stringContaining(`${version}.sql`) }] });
    expect(await run('status', '--check')).toMatchObject({ code: 1 });
    await writeFile(path, text);

    const back = await run('rollback', '--steps', '1');
    expect(back.output).toContain('Rollback process completed');
    expect(back).toMatchObject({ code: 0, errors: '' });
    expect((await run('doctor')).code).toBe(0);
    expect(JSON.stringify([migrated, status, back])).not.toContain(password);
  });
});

it('fails with the reason, and as JSON if that was asked for', async () => {
  await withFolder({ '1_a.sql': '-- schemas: public\nSELECT nonsense;' }, async (folder) => {
    const config = { main: { schemas: ['public'], primary: addressOf(await server.createDatabase('pgm_failing')) } };
    await writeFile(join(folder, 'clusters.json'), JSON.stringify(config));
    const plain = await pgm(folder, ['migrate', '-c', 'clusters.json', '-m', '.']);
    expect(plain.code).toBe(1);
    expect(plain.errors).toContain('❌ 1_a on public@main: 1_a.sql:2: column "nonsense" does not exist');
    expect(plain.errors).toContain('❌ Migration failed: ');
    const json = await pgm(folder, ['migrate', '-c', 'clusters.json', '-m', '.', '--json']);
    expect(JSON.parse(json.output)).toMatchObject({ error: { code: 'ERR_MIGRATION_FAILED', failures: [{ version: '1_a', schema: 'public', cluster: 'main' }] } });
  });
});

it('refuses wrong arguments, names what is missing, and helps', async () => {
  await withFolder({ 'bad.json': '{"main": {"primary": {"password": "${NOT_SET_ANYWHERE}"}}}', '1_a.js': 'const = 1' }, async (folder) => {
    expect((await pgm(folder, ['migrate', '--nonsense'])).code).toBe(2);
    expect((await pgm(folder, ['rollback', '--steps', 'x'])).code).toBe(2);
    expect(await pgm(folder, ['status', '-c', 'bad.json'])).toMatchObject({ code: 1, errors: expect.stringContaining('NOT_SET_ANYWHERE is not set') });
    expect(await pgm(folder, ['list', '-m', '.'])).toMatchObject({ code: 1, errors: expect.stringContaining('Failed to load migration 1_a.js:1') });
    const help = await pgm(folder, ['--help']);
    expect(help).toMatchObject({ code: 0, errors: '' });
    expect(help.output).toContain('Examples:');
    expect((await pgm(folder, ['completion', 'bash'])).output).toContain('complete -F _pgm pgm');
    expect((await pgm(folder, ['init'])).code).toBe(0);
    expect((await pgm(folder, ['init'])).code).toBe(1);
  });
});

it('colours its output only where it is asked to', async () => {
  await withFolder({ '1_a.sql': '-- schemas: public\nSELECT 1;' }, async (folder) => {
    const config = { main: { schemas: ['public'], primary: addressOf(await server.createDatabase('pgm_colours')) } };
    await writeFile(join(folder, 'clusters.json'), JSON.stringify(config));
    const run = (/** @type {Record<string, string>} */ env) => pgm(folder, ['migrate', '-c', 'clusters.json', '-m', '.'], env);
    expect((await run({ FORCE_COLOR: '1' })).output).toContain('\u001b[32m✓\u001b[0m');
    expect((await run({})).output).not.toContain('\u001b[');
  });
});

it('doctor tells of every cluster, also where some cannot be reached', async () => {
  const primary = addressOf(await server.createDatabase('pgm_doctor'));
  const nowhere = { ...primary, port: 1 };
  const config = { gone: { schemas: ['public'], primary: nowhere }, main: { schemas: ['public'], primary, replicas: [nowhere] } };
  await withFolder({ 'clusters.json': JSON.stringify(config) }, async (folder) => {
    const { code, output, errors } = await pgm(folder, ['doctor', '-c', 'clusters.json', '--json']);
    expect({ code, errors }).toEqual({ code: 1, errors: '' });
    const refused = expect.stringContaining('127.0.0.1:1');
    const { findings } = JSON.parse(output);
    expect(findings).toContainEqual({ cluster: 'gone', check: 'connection', ok: false, detail: refused });
    expect(findings).toContainEqual({ cluster: 'main', check: 'wal_level', ok: true, detail: 'logical' });
    expect(findings).toContainEqual({ cluster: 'main', check: 'replica 1', ok: false, detail: refused });
    expect(output).not.toContain(primary.password);
  });
});

it('migrates clusters that have a schema in common, from the migration that a time names', async () => {
  const files = { '20260101000001_a.sql': '-- schemas: public\nCREATE TABLE a ();', '20260101000002_b.sql': '-- schemas: public\nCREATE TABLE b ();' };
  await withFolder(files, async (folder) => {
    const cluster = async (/** @type {string} */ name) => ({ schemas: ['public'], primary: addressOf(await server.createDatabase(name)) });
    await writeFile(join(folder, 'clusters.json'), JSON.stringify({ eu: await cluster('pgm_eu'), us: await cluster('pgm_us') }));
    const run = (/** @type {string[]} */ ...args) => pgm(folder, [...args, '-c', 'clusters.json', '-m', '.']);
    expect((await run('baseline', '20260101000001', '--clusters', 'eu')).output).toContain('  Applied: 1\n');
    expect(await run('baseline', '1999')).toMatchObject({ code: 1, errors: expect.stringContaining('Migration 1999 not found') });
    expect(await run('repair', 'nowhere', '--as', 'applied')).toMatchObject({ code: 1, errors: '❌ Migration nowhere not found\n' });
    expect((await run('migrate', '--schemas', '')).code).toBe(2);
    const { output } = await run('migrate');
    expect(output.match(/applied .*@\w+/g)?.sort()).toEqual(['applied 20260101000001_a on public@us', 'applied 20260101000002_b on public@eu', 'applied 20260101000002_b on public@us']);
    expect((await run('mark', '20260101000002', '--as', 'pending')).output).toContain('  Pending: 2\n');
  });
});

it('looks up variables of clusters only where clusters are needed, and shows nothing of a broken configuration', async () => {
  const files = { 'clusters.json': '{"main": {"schemas": ["public"], "primary": {"port": "${NOT_SET_ANYWHERE}"}}}', 'broken.json': '{"main": {"primary": {"password": s3cret}}}', '1_a.sql': '-- schemas: public\nSELECT 1;' };
  await withFolder(files, async (folder) => {
    for (const args of [['list'], ['lint'], ['create', 'b', '--schemas', 'public']]) expect((await pgm(folder, [...args, '-c', 'clusters.json', '-m', '.'])).code).toBe(0);
    expect(await pgm(folder, ['create', 'b.test', '--schemas', 'public', '-m', '.'])).toMatchObject({ code: 1, errors: expect.stringContaining('cannot be called') });
    const broken = await pgm(folder, ['status', '-c', 'broken.json']);
    expect(broken).toMatchObject({ code: 1, errors: expect.stringContaining('it is no JSON') });
    expect(broken.errors).not.toContain('s3cret');
    await writeFile(join(folder, 'uris.json'), '{"main": "postgres://u:s3cret@h/d"}');
    const uris = await pgm(folder, ['doctor', '-c', 'uris.json']);
    expect(uris).toMatchObject({ code: 1, errors: expect.stringContaining('cluster main: expected an object') });
    expect(uris.errors).not.toContain('s3cret');
    await writeFile(join(folder, 'slip.json'), '{"clusters": {"main": {"schema": "public", "primary": {}}}}');
    expect(await pgm(folder, ['status', '-c', 'slip.json'])).toMatchObject({ code: 1, errors: expect.stringContaining('cluster main: expected schemas') });
    await writeFile(join(folder, 'empty.json'), '{"clusters": null}');
    expect(await pgm(folder, ['status', '-c', 'empty.json'])).toMatchObject({ code: 1, errors: expect.stringContaining('clusters: expected an object') });
  });
});

it('a JSON document stays one where migrations print, and a watch ends with its reader', async () => {
  const talking = "console.log('loaded'); export default { version: '1_a', name: 'a', targetSchemas: ['public'], async up() { console.log('working'); }, async down() {} };";
  await withFolder({ '1_a.mjs': talking }, async (folder) => {
    const config = { main: { schemas: ['public'], primary: addressOf(await server.createDatabase('pgm_talking')) } };
    await writeFile(join(folder, 'clusters.json'), JSON.stringify(config));
    const { output, errors } = await pgm(folder, ['migrate', '-c', 'clusters.json', '-m', '.', '--json']);
    expect(JSON.parse(output)).toMatchObject({ appliedMigrations: 1 });
    expect(errors).toBe('loaded\nworking\n');
    expect(await pgmReadOnce(folder, ['status', '-c', 'clusters.json', '-m', '.', '--watch', '--interval', '1'])).toBe(0);
  });
});
