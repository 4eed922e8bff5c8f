// One migration from its file: TypeScript, JavaScript or SQL.
import { readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { native } from '../../native.js';
import { configError, ReplicaverseError } from '../../errors.js';
import { migrationErrorOf, ThrownErrors } from './migration-error.js';
import type { Migration, MigrationContext } from './types.js';

/** What stands in a file of SQL; see `SqlFile` of the core. */
export interface SqlFile {
  up: string;
  down: string | null;
  noTransaction: boolean;
  atomic: boolean;
  schemas: string[];
  clusters: string[];
  dependencies: string[];
  description: string | null;
}

/** A migration with where it comes from. */
export interface FoundMigration {
  readonly migration: Migration;
  /** The name of its file; `undefined` for one that the application added. */
  readonly file?: string;
  /** The text of its file. */
  readonly text?: string;
  readonly sql?: SqlFile;
}

/** By these a migration is known. */
const FIELDS = ['version', 'up', 'down'] as const;

/** Loads modules, whatever they are written in. */
export type ModuleLoader = (path: string) => Promise<unknown>;

/** Makes a loader. TypeScript is transpiled, and imports that are only types are dropped. */
export async function moduleLoader(): Promise<ModuleLoader> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(__filename, {
    alias: await ownNames(),
    // A file may have been changed since it was loaded last.
    moduleCache: false,
    fsCache: false,
    interopDefault: true,
    tryNative: false,
  });
  return (path) => jiti.import(path);
}

/** Names of which an import gets this very package, so that types and classes are the same, with the files behind them. */
async function ownNames(): Promise<Record<string, string>> {
  const root = join(__dirname, '..', '..', '..');
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { exports: Record<string, string | { require: { default: string } }> };
  const names: Record<string, string> = {};
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue;
    const file = join(root, target.require.default);
    for (const name of ['pg-multiverse', 'replicaverse']) names[`${name}${path.slice(1)}`] = file;
    if (path === './pg-multiverse') names['pg-multiverse'] = file;
  }
  return names;
}

/**
 * Loads a migration. `undefined` if the module exports nothing.
 *
 * @throws {ReplicaverseError} `Failed to load migration FILE:LINE: …`
 */
export async function loadMigration(path: string, load: ModuleLoader): Promise<FoundMigration | undefined> {
  const file = basename(path);
  try {
    const text = await readFile(path, 'utf8');
    if (extname(path).toLowerCase() === '.sql') return migrationOfSql(file, text);
    const migration = await exported(await load(path));
    if (migration === undefined) return undefined;
    checkMigration(migration);
    return { migration, file, text };
  } catch (error) {
    throw failure(path, error);
  }
}

/** Refuses a migration that is not complete. */
export function checkMigration(migration: Partial<Migration>): asserts migration is Migration {
  const { version, name, targetSchemas, up, down } = migration;
  if (!version) throw configError('Migration version is required');
  if (!name) throw configError('Migration name is required');
  if (!Array.isArray(targetSchemas) || targetSchemas.length === 0) throw configError('Migration must target at least one schema');
  if (typeof up !== 'function') throw configError('Migration up function is required');
  if (typeof down !== 'function') throw configError('Migration down function is required');
}

/** The default export, `module.exports`, or the module itself where it is the migration. */
async function exported(module: unknown): Promise<Partial<Migration> | undefined> {
  const outer = (await (module as { default?: unknown } | null)?.default) ?? module;
  const inner = (await (outer as { default?: unknown } | null)?.default) ?? outer;
  const isObject = typeof inner === 'object' && inner !== null;
  // An instance or a class may have them from its prototype.
  if ((isObject || typeof inner === 'function') && FIELDS.some((field) => field in inner)) return inner;
  if (isObject && Object.keys(inner).length === 0) return undefined;
  throw configError(`what it exports has none of the fields ${FIELDS.join(', ')}: export the migration as default`);
}

/** The version is the name of the file. */
function migrationOfSql(file: string, text: string): FoundMigration {
  const sql = readSql(text);
  const version = file.slice(0, -'.sql'.length);
  const migration: Migration = {
    version,
    name: version.replace(/^\d+_/, ''),
    ...(sql.description === null ? {} : { description: sql.description }),
    targetSchemas: sql.schemas,
    ...(sql.clusters.length === 0 ? {} : { targetClusters: sql.clusters }),
    dependencies: sql.dependencies,
    createdAt: createdAt(version),
    transaction: !sql.noTransaction,
    atomic: sql.atomic,
    up: async (context: MigrationContext) => void (await context.query(sql.up)),
    down: async (context: MigrationContext) => {
      if (sql.down === null) throw configError(`Migration ${version} cannot be taken back: ${file} has no section -- down`);
      await context.query(sql.down);
    },
  };
  if (sql.schemas.length === 0) throw configError('Migration must target at least one schema: write -- schemas: NAME at its top');
  checkMigration(migration);
  return { migration, file, text, sql };
}

function readSql(text: string): SqlFile {
  try {
    return JSON.parse(native.readSqlMigration(text)) as SqlFile;
  } catch (thrown) {
    throw migrationErrorOf(thrown, new ThrownErrors());
  }
}

/** The time in a version. */
function createdAt(version: string): Date {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T?(\d\d)(\d\d)(\d\d)/.exec(version) ?? [];
  return year === undefined ? new Date(0) : new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function failure(path: string, thrown: unknown): Error {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  // What a parser says may go on over the lines of the file.
  const message = error.message.split('\n')[0] ?? '';
  const line = lineIn(path, error);
  const problem = `Failed to load migration ${basename(path)}${line === undefined ? '' : `:${line}`}: ${message}`;
  return new ReplicaverseError(problem, { kind: 'File', code: 'ERR_MIGRATION_FILE', cause: error });
}

/** The line of the file that an error is about, from its message or its stack. */
function lineIn(path: string, error: Error): string | undefined {
  for (const text of [error.message, error.stack ?? '']) {
    const at = text.indexOf(`${path}:`);
    const line = at === -1 ? undefined : /^:(\d+)/.exec(text.slice(at + path.length))?.[1];
    if (line !== undefined) return line;
  }
  return /\((\d+):\d+\)/.exec(error.message)?.[1] ?? /^line (\d+):/.exec(error.message)?.[1];
}
