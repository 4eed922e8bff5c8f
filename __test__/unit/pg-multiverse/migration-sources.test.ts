// The SQL in sources of migrations: found without running them, or by running what reaches nothing else.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MigrationManager, PgMultiverse } from '../../../dist/pg-multiverse.js';
import { readScript } from '../../../dist/pg-multiverse/migrations/lint/script-statements.js';

const silent = { info() {}, warn() {}, error() {}, debug() {} };

async function linted(files: Record<string, string>) {
  const migrationsPath = await mkdtemp(join(tmpdir(), 'migration-sources-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(migrationsPath, name), text);
    const manager = new MigrationManager(new PgMultiverse(), { migrationsPath, logger: silent });
    await manager.initialize();
    return await manager.lint();
  } finally {
    await rm(migrationsPath, { recursive: true });
  }
}

const wrapped = (up: string, before = '') => `import type { MigrationContext } from 'pg-multiverse';
${before}
export default { version: '1_a', name: 'a', targetSchemas: ['app'], createdAt: new Date(0),
  async up({ query, schema }: MigrationContext) { ${up} },
  async down({ query }: MigrationContext) { await query('DROP TABLE taken_back'); } };
`;
const sqlOf = (up: string, before = '') => readScript(wrapped(up, before)).texts.map(({ sql }) => sql);

it('texts given to query are found in their order, those of down are not', () => {
  expect(sqlOf(`await query('SELECT 1'); await query<{ a: Map<string, number> }>("SELECT 'x'", [1]); await query(\`SELECT
    2\`);`)).toEqual(['SELECT 1', "SELECT 'x'", 'SELECT\n    2']);
  expect(sqlOf("await query('SELECT ' + '1' + ` + 2`)")).toEqual(['SELECT 1 + 2']);
  expect(sqlOf('await query(TEXT)', "const TEXT = 'SELECT 3';")).toEqual(['SELECT 3']);
  expect(sqlOf("const found = /query('no')/.test(schema); // query('no')\n/* query('no') */ await query('SELECT \\'4\\'')")).toEqual(["SELECT '4'"]);
});

it('what is known only when it runs is told', () => {
  const { texts, unseen } = readScript(wrapped('await query(`DROP TABLE ${schema}.t`);\nawait query(schema);'));
  expect(texts).toEqual([{ sql: 'DROP TABLE unseen_value.t', line: 4, isPartial: true }]);
  expect(unseen).toEqual([{ line: 5, reason: 'the SQL of this query is known only when it runs' }]);
  expect(readScript('export default { up: other }').unseen).toEqual([{ line: 1, reason: 'no call of query was found in up' }]);
});

it('a function that reaches nothing but its context is known to', () => {
  const isClosed = (up: string, before = '') => readScript(wrapped(up, before)).isClosed;
  expect(isClosed('for (const n of [1, 2]) await query(`SELECT ${n}`)')).toBe(true);
  for (const outside of ['process.exit()', "await import('node:fs')", 'await fetch(schema)', "eval('1')", 'query.constructor', 'setTimeout(query)']) expect(isClosed(outside)).toBe(false);
  expect(isClosed('', "import { rm } from 'node:fs';")).toBe(false);
  expect(isClosed('', "const fs = require('fs');")).toBe(false);
  expect(isClosed('', 'require(name);')).toBe(false);
});

it('a function that builds its SQL is run without a database, until it looks at an answer', async () => {
  const built = await linted({ '1_a.ts': wrapped("for (const table of ['a', 'b']) {\n    await query(`DROP TABLE ${table}`);\n  }") });
  expect(built.findings.filter(({ rule }) => rule === 'drop-table').map(({ subject, line }) => [subject, line])).toEqual([['a', 5], ['b', 5]]);
  expect(built.unseen).toEqual([]);
  const asked = await linted({ '1_a.ts': wrapped("const { rows } = await query('SELECT 1');\nif (rows.length > 0) await query('DROP TABLE c');") });
  expect(asked.findings.map(({ rule, subject, line }) => [rule, subject, line])).toContainEqual(['drop-table', 'c', 5]);
});

it('comments beside the SQL turn rules off', async () => {
  const { findings, summary } = await linted({ '1_a.ts': wrapped("\n// pgm-lint-ignore drop-table, missing-lock-timeout: nobody uses it\nawait query('DROP TABLE a');") });
  expect(findings).toEqual([]);
  expect(summary.ignored).toBe(2);
});

it('functions that were added without a file are read as they are', async () => {
  const manager = new MigrationManager(new PgMultiverse(), { migrationsPath: '/nonexistent', logger: silent });
  await manager.initialize();
  let ran = false;
  manager.addMigration({
    version: '1_a',
    name: 'a',
    targetSchemas: ['app'],
    createdAt: new Date(0),
    up: async ({ query }) => {
      ran = true;
      await query('TRUNCATE a CASCADE');
    },
    down: async () => undefined,
  });
  expect((await manager.lint()).findings).toContainEqual(expect.objectContaining({ rule: 'truncate-cascade', version: '1_a', file: null }));
  expect(ran).toBe(false);
  await expect(manager.lint({ ignore: ['nonsense'] })).rejects.toThrow('there is no lint rule nonsense');
});
