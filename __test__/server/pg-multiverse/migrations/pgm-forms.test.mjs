// The output of pgm in its three forms: in a pipe, in a terminal, and as JSON.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { withFolder } from './folder.mjs';
import { pgm, pgmInTerminal } from './pgm-process.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const FILES = {
  '1_first.sql': '-- schemas: public\n-- up\nCREATE TABLE a (id bigint PRIMARY KEY);\n-- down\nDROP TABLE a;\n',
  '2_second.sql': '-- schemas: public\n-- no-transaction\n-- up\nCREATE TABLE b (id bigint PRIMARY KEY);\n-- down\nDROP TABLE b;\n',
};

/**
 * @param {string} name
 * @param {(folder: string) => Promise<void>} use
 */
const withProject = (name, use) =>
  withFolder(FILES, async (folder) => {
    await writeFile(join(folder, 'pgm.config.json'), JSON.stringify({ clusters: { main: { schemas: ['public'], primary: addressOf(await server.createDatabase(name)) } }, migrations: { migrationsPath: '.' } }));
    await use(folder);
  });

/** The text of a terminal's output: its ends of lines and colours are those of a terminal. */
const textOf = (/** @type {string} */ output) =>
  // eslint-disable-next-line no-control-regex
  output.replace(/\r\n/g, '\n').replace(/\u001b\[[\d;?]*[A-Za-z]/g, '');
const timeless = (/** @type {string} */ output) => output.replace(/\(\d+ ms\)/g, '(5 ms)').replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');

const MIGRATED = `🚀 Starting migration process...
  ✓ applied 1_first on public@main (5 ms)
  ✓ applied 2_second on public@main (5 ms)

📊 Migration Status:
  Total migrations: 2
  Applied: 2
  Pending: 0
  Failed: 0

✅ Migration process completed
`;

it('migrate prints the same lines in a pipe and in a terminal, there with colours', async () => {
  await withProject('forms_pipe', async (folder) => {
    const piped = await pgm(folder, ['migrate']);
    expect(piped).toMatchObject({ code: 0, errors: '' });
    expect(timeless(piped.output)).toBe(MIGRATED);
  });
  await withProject('forms_terminal', async (folder) => {
    const shown = await pgmInTerminal(folder, ['migrate']);
    expect(shown.code).toBe(0);
    expect(timeless(textOf(shown.output))).toBe(MIGRATED);
    expect(shown.output).toContain('\u001b[32m✓\u001b[0m applied 1_first');
  });
}, 120_000);

it('prints one JSON document on the standard output, whatever the command', async () => {
  await withProject('forms_json', async (folder) => {
    const json = async (/** @type {string[]} */ ...args) => {
      const { code, output } = await pgm(folder, [...args, '--json']);
      return { code, document: JSON.parse(output) };
    };
    const counts = { totalMigrations: 2, failedMigrations: 0 };
    const dry = await json('migrate', '--dry-run');
    expect(dry).toMatchObject({ code: 0, document: { ...counts, appliedMigrations: 0, pendingMigrations: 2, plan: [{ version: '1_first', transaction: true }, { version: '2_second', transaction: false }] } });
    expect(await json('migrate')).toEqual({
      code: 0,
      document: {
        ...counts,
        appliedMigrations: 2,
        pendingMigrations: 0,
        bySchema: { public: { applied: 2, pending: 0, failed: 0, lastApplied: '2_second' } },
        byCluster: { main: { applied: 2, pending: 0, failed: 0, lastApplied: '2_second' } },
      },
    });
    const { document } = await json('status');
    expect(document.migrations.map((/** @type {any} */ each) => Object.keys(each).sort())).toEqual(Array(2).fill(['batch', 'cluster', 'direction', 'executedAt', 'executionTime', 'message', 'name', 'schema', 'state', 'version']));
    expect((await json('list')).document.migrations).toMatchObject([{ version: '1_first', name: 'first', targetSchemas: ['public'] }, { version: '2_second' }]);
    expect((await json('doctor')).document.findings[0]).toEqual({ cluster: 'main', check: 'connection', ok: true, detail: expect.stringContaining('PostgreSQL') });
    expect(await json('rollback', '--steps', '2')).toMatchObject({ code: 0, document: { ...counts, appliedMigrations: 0 } });
    const { code, document: failed } = await json('mark', 'nowhere', '--as', 'applied');
    expect({ code, failed }).toEqual({ code: 1, failed: { error: { message: 'Migration nowhere not found', code: 'ERR_MIGRATION', failures: [] } } });
  });
}, 180_000);

it('asks before a rollback in a terminal, wherever the output goes, and nowhere else', async () => {
  await withProject('forms_asking', async (folder) => {
    await pgm(folder, ['migrate']);
    const refused = await pgmInTerminal(folder, ['rollback'], 'n\r');
    expect(refused.code).toBe(1);
    expect(textOf(refused.output)).toContain('📝 Plan:\n  1. 2_second on public@main (no transaction)\nTake these migrations back? [y/N]');
    expect(textOf(refused.output)).toContain('Nothing was taken back');
    for (const [args, more] of /** @type {const} */ ([[['rollback', '--json'], ''], [['rollback'], ' > rollback.log']])) {
      const asked = await pgmInTerminal(folder, args, 'n\r', more);
      expect(asked.code).toBe(1);
      expect(textOf(asked.output)).toContain('Take these migrations back? [y/N]');
    }
    const agreed = await pgmInTerminal(folder, ['rollback'], 'y\r');
    expect(agreed.code).toBe(0);
    expect(timeless(textOf(agreed.output))).toContain('✓ took back 2_second on public@main (5 ms)');
    const piped = await pgm(folder, ['rollback']);
    expect(piped.code).toBe(0);
    expect(piped.output).not.toContain('[y/N]');
  });
}, 180_000);
