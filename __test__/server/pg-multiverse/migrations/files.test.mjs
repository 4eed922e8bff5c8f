// Files of migrations in every language, and those that cannot be loaded.
import { expect, it } from 'vitest';
import { MigrationManager, PgMultiverse } from 'replicaverse/pg-multiverse';
import { silent, withFolder } from './folder.mjs';

/**
 * @param {Record<string, string>} files
 * @param {object} [config]
 */
const loaded = (files, config = {}) =>
  withFolder(files, async (migrationsPath) => {
    const manager = new MigrationManager(new PgMultiverse(), { migrationsPath, logger: silent, ...config });
    await manager.initialize();
    return manager.getMigrations();
  });

const body = (/** @type {string} */ version) => `{ version: '${version}', name: 'n', targetSchemas: ['a'], createdAt: new Date(0), async up() {}, async down() {} }`;

it('are written in TypeScript, JavaScript of both kinds, and SQL', async () => {
  const found = await loaded({
    '1_a.ts': `import { Migration, MigrationContext } from 'pg-multiverse';
import { PgMultiverse } from 'pg-multiverse';
enum Size { Small = 1 }
const migration: Migration = { version: '1_a', name: PgMultiverse.name + Size.Small, targetSchemas: ['a'], createdAt: new Date(0),
  async up(context: MigrationContext): Promise<void> { await context.query('SELECT 1'); }, async down() {} };
export default migration;`,
    '2_b.mjs': `export default ${body('2_b')};`,
    '3_c.cjs': `module.exports = ${body('3_c')};`,
    '4_d.js': `exports.default = ${body('4_d')};`,
    '5_e.js': `import { helper } from './_helper.js';\nexport default helper(${body('5_e')});`,
    '_helper.js': 'export const helper = (migration) => migration;',
    '20260131120000_f.sql': '-- schemas: a, b\n-- depends: 1_a\n-- description: of tables\n-- up\nSELECT 1;\n-- down\nSELECT 2;\n',
    '1_a.js': `module.exports = ${body('1_a')};`,
    '1_a.d.ts': 'declare const migration: never; export default migration;',
    'README.md': 'no migration',
  });
  expect(found.map(({ version }) => version)).toEqual(['1_a', '20260131120000_f', '2_b', '3_c', '4_d', '5_e']);
  expect(found[0]?.name).toBe('PgMultiverse1');
  expect(found[1]).toMatchObject({ name: 'f', targetSchemas: ['a', 'b'], dependencies: ['1_a'], description: 'of tables', createdAt: new Date('2026-01-31T12:00:00Z') });
});

it('may be a class, made by a promise, and import any part of the package', async () => {
  const found = await loaded({
    '1_a.ts': `import type { Migration } from 'pg-multiverse/types';
import { ClusterManager } from 'pg-multiverse/cluster';
import { lintRules } from 'replicaverse';
class First { version = '1_a'; targetSchemas = ['a']; createdAt = new Date(0); get name() { return ClusterManager.name + typeof lintRules; } async up() {} async down() {} }
export default new First() satisfies Migration;`,
    '2_b.mjs': `export default Promise.resolve(${body('2_b')});`,
    '3_c.mjs': `export default class { static version = '3_c'; static targetSchemas = ['a']; static async up() {} static async down() {} }`,
    '4_d.SQL': '-- schemas: a\nSELECT 1;\n',
    '5_e.mjs': '',
  });
  expect(found.map(({ version, name }) => [version, name])).toEqual([['1_a', 'ClusterManagerfunction'], ['2_b', 'n'], ['3_c', expect.any(String)], ['4_d', 'd']]);
});

it('that cannot be loaded stop everything, named with their line', async () => {
  const problem = (/** @type {string} */ name, /** @type {string} */ text) => loaded({ [name]: text }).then(() => 'none', (error) => error.message);
  expect(await problem('1_a.ts', 'const a: number = 1;\nconst = 2;\n')).toMatch(/^Failed to load migration 1_a\.ts:2: /);
  expect(await problem('1_a.mjs', '\n\nthrow new Error("at once");\n')).toBe('Failed to load migration 1_a.mjs:3: at once');
  expect(await problem('1_a.cjs', 'module.exports = { version: "1_a" };')).toBe('Failed to load migration 1_a.cjs: Migration name is required');
  expect(await problem('1_a.sql', '-- schemas: a\nSELECT 1;\n-- up\n')).toBe('Failed to load migration 1_a.sql:2: line 2: SQL stands before the line -- up');
  expect(await problem('1_a.mjs', 'export default () => {};')).toContain('1_a.mjs: what it exports has none of the fields version, up, down');
  expect(await problem('1_a.sql', '')).toContain('write -- schemas: NAME');
  expect(await problem('1_a.sql', 'SELECT 1;')).toContain('write -- schemas: NAME');
  expect(await problem('1_a.js', `import './nowhere.js';\nexport default {};`)).toContain('nowhere');
  await expect(loaded({ '1_a.cjs': `module.exports = ${body('1')}`, '1_b.cjs': `module.exports = ${body('1')}` })).rejects.toThrow('1_a.cjs has the version 1 too');
});

it('are loaded before anything is connected to', async () => {
  await withFolder({ '1_a.js': 'throw new Error("broken")' }, async (migrationsPath) => {
    const db = new PgMultiverse({ enableMigrations: true, migrations: { migrationsPath, logger: silent } });
    const nowhere = { main: { primary: { host: '127.0.0.1', port: 1, database: 'd', user: 'u', password: '' } } };
    await expect(db.initialize(nowhere)).rejects.toThrow('Failed to load migration 1_a.js:1: broken');
  });
});

it('are made with a version of their time, and can be loaded', async () => {
  await withFolder({}, async (migrationsPath) => {
    const manager = new MigrationManager(new PgMultiverse(), { migrationsPath, logger: silent });
    const first = await manager.createMigration("add user's table".replace("'", ''), { targetSchemas: ['a'], description: "it's new", tags: ['t'] });
    const second = await manager.createMigration('plain', { targetSchemas: ['a', 'b'], sql: true });
    expect(first).toMatch(/\/\d{14}_add_users_table\.ts$/);
    expect(second).toMatch(/\/\d{14}_plain\.sql$/);
    await expect(manager.createMigration('../x', { targetSchemas: ['a'] })).rejects.toThrow('cannot be called');
    await manager.initialize();
    const [one, other] = manager.getMigrations();
    expect(one).toMatchObject({ name: 'add_users_table', description: "it's new", targetSchemas: ['a'], tags: ['t'] });
    expect(other).toMatchObject({ targetSchemas: ['a', 'b'] });
  });
});
