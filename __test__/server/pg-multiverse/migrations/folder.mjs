// Folders of migration files for tests, and instances that run them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { addressOf } from '../clients.mjs';

/**
 * Makes a folder with files, calls `use` with its path, and removes it.
 *
 * @template T
 * @param {Record<string, string>} files
 * @param {(folder: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withFolder(files, use) {
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-migrations-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Says nothing. */
export const silent = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * Runs `use` on an instance with migrations.
 *
 * @template T
 * @param {Record<string, { uri: string, schemas: string[], max?: number }>} servers
 * @param {import('replicaverse/pg-multiverse').MigrationConfig} config
 * @param {(db: PgMultiverse, manager: import('replicaverse/pg-multiverse').MigrationManager) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withMigrations(servers, config, use) {
  const db = new PgMultiverse({ enableMigrations: true, migrations: { migrationsPath: '/nonexistent', logger: silent, ...config } });
  await db.initialize(clustersOf(servers));
  try {
    return await use(db, /** @type {any} */ (db.getMigrationManager()));
  } finally {
    await db.close();
  }
}

/** @param {Record<string, { uri: string, schemas: string[], max?: number }>} servers */
export function clustersOf(servers) {
  return Object.fromEntries(
    Object.entries(servers).map(([id, { uri, schemas, max = 5 }], at) => [id, { schemas, primary: addressOf(uri), connectionPool: { min: 0, max }, priority: 100 - at }]),
  );
}

/**
 * A migration whose functions run statements.
 *
 * @param {string} version
 * @param {string | ((context: any) => Promise<void>)} up
 * @param {object} [more]
 * @returns {any}
 */
export function migration(version, up, more = {}) {
  return {
    version,
    name: version.replace(/^\d+_/, ''),
    targetSchemas: ['app'],
    createdAt: new Date(0),
    up: typeof up === 'string' ? async (/** @type {any} */ context) => void (await context.query(up)) : up,
    down: async () => {},
    ...more,
  };
}
