// The sample project in examples/migrations, run as its README says.
import { cp } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { withFolder } from './folder.mjs';
import { pgm } from './pgm-process.mjs';

const PROJECT = fileURLToPath(new URL('../../../../examples/migrations/', import.meta.url));

/** @type {Awaited<ReturnType<typeof startPostgres>>[]} */
let servers = [];
beforeAll(async () => {
  const password = 'of the sample project';
  servers = await Promise.all([startPostgres({ password }), startPostgres({ password })]);
});
afterAll(() => Promise.all(servers.map((server) => server.remove())));

it('the sample project lints, migrates both clusters and goes back', async () => {
  const [eu, us] = servers.map(({ uri }) => addressOf(uri));
  const env = { EU_PORT: String(eu?.port), US_PORT: String(us?.port), PGUSER: eu?.user ?? '', PGPASSWORD: eu?.password ?? '' };
  await withFolder({}, async (folder) => {
    // In a folder that is none of this package, as with whoever copies it.
    await cp(PROJECT, folder, { recursive: true });
    const run = (/** @type {string[]} */ ...args) => pgm(folder, args, env);
    const linted = await run('lint', '--fail-on', 'error');
    expect(linted).toMatchObject({ code: 0, errors: '' });
    expect(linted.output).toContain('8 migrations: 0 errors, 0 warnings');
    const dry = await run('migrate', '--dry-run');
    expect(dry).toMatchObject({ code: 0, errors: '' });
    expect(dry.output).toContain('15. 20260301160000_create_daily_totals on reports@us');
    const migrated = await run('migrate');
    expect(migrated).toMatchObject({ code: 0, errors: '' });
    expect(migrated.output).toContain('Applied: 15');
    expect((await run('status', '--check')).code).toBe(0);
    const back = await run('rollback', '--steps', '2', '--yes');
    expect(back.code, back.errors).toBe(0);
    expect((await run('status', '--check')).code).toBe(1);
  });
}, 180_000);
