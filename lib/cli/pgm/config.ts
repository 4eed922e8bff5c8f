// The configuration of pgm: clusters and migrations from a file of JSON, JavaScript or TypeScript.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { configError } from '../../errors.js';
import type { ClustersConfig } from '../../pg-multiverse/config-types.js';
import { moduleLoader } from '../../pg-multiverse/migrations/migration-file.js';
import type { MigrationConfig } from '../../pg-multiverse/migrations/types.js';

/** The files that are looked for where none is named. */
export const CONFIG_FILES = ['pgm.config.json', 'pgm.config.ts', 'pgm.config.mjs', 'pgm.config.cjs', 'pgm.config.js'];

/** What a file says. */
export interface PgmConfig {
  readonly clusters: ClustersConfig;
  readonly migrations: MigrationConfig;
}

/**
 * Reads the configuration; without a file, there are no clusters. A path of migrations in it is meant from its folder. The
 * variables of the clusters are looked up when the clusters are: what needs none of them runs without.
 *
 * @throws {ReplicaverseError} of kind `Config` for a file that cannot be read, or a variable that is not set.
 */
export async function readConfig(named: string | undefined, migrationsPath: string | undefined): Promise<PgmConfig> {
  const path = named ?? process.env.PGM_CONFIG ?? CONFIG_FILES.find((file) => existsSync(file));
  const config = path === undefined ? { clusters: {}, migrations: {} } : await readFrom(resolve(path));
  if (migrationsPath !== undefined) config.migrations.migrationsPath = resolve(migrationsPath);
  return config;
}

async function readFrom(path: string): Promise<PgmConfig> {
  const read = (await contentOf(path)) as Partial<PgmConfig> & ClustersConfig;
  if (typeof read !== 'object' || read === null) throw configError(`${path}: expected an object of clusters`);
  if (read.clusters === null) throw configError(`${path}: clusters: expected an object of clusters`);
  const isWrapped = typeof read.clusters === 'object' && !('primary' in read.clusters);
  const unknown = isWrapped ? Object.keys(read).find((key) => !['clusters', 'migrations', '$schema'].includes(key)) : undefined;
  if (unknown !== undefined) throw configError(`${path}: ${unknown}: there is no such key; known are clusters and migrations`);
  const migrations = { ...(isWrapped ? (withVariables(read.migrations, path) as MigrationConfig | undefined) : undefined) };
  if (migrations.migrationsPath !== undefined) migrations.migrationsPath = resolve(dirname(path), migrations.migrationsPath);
  let clusters: ClustersConfig | undefined;
  return {
    get clusters() {
      clusters ??= clustersIn(withVariables(isWrapped ? read.clusters : read, path), path);
      return clusters;
    },
    migrations,
  };
}

function clustersIn(read: unknown, path: string): ClustersConfig {
  const wrong = Object.entries(read as object).find(([, cluster]) => typeof cluster !== 'object' || cluster === null);
  if (wrong !== undefined) throw configError(`${path}: cluster ${wrong[0]}: expected an object with schemas and primary`);
  const homeless = Object.entries(read as ClustersConfig).find(([, { schemas }]) => !Array.isArray(schemas));
  if (homeless !== undefined) throw configError(`${path}: cluster ${homeless[0]}: expected schemas, an array of the names of schemas that it holds`);
  return read as ClustersConfig;
}

async function contentOf(path: string): Promise<unknown> {
  try {
    if (extname(path) === '.json') return jsonIn(await readFile(path, 'utf8'));
    const load = await moduleLoader();
    const module = (await load(path)) as { default?: unknown };
    return module.default ?? module;
  } catch (error) {
    throw configError(`Failed to load config from ${path}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** The parser's own message quotes the text around the error, which may be a password. */
function jsonIn(text: string): unknown {
  const json = text.replace(/^\uFEFF/, '');
  let position: string | undefined;
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    position = /position (\d+)/.exec((error as Error).message)?.[1];
  }
  const line = position === undefined ? undefined : json.slice(0, Number(position)).split('\n').length;
  throw new Error(line === undefined ? 'it is no JSON' : `it is no JSON: see line ${line}`);
}

/** Texts with `${NAME}` or `${NAME:-default}` in place of which the variable of the environment is put; ports may be such. */
function withVariables(value: unknown, path: string, key = ''): unknown {
  if (typeof value === 'string') {
    const text = value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g, (_, name: string, fallback?: string) => {
      const found = process.env[name] ?? fallback;
      if (found === undefined) throw configError(`${path}: the environment variable ${name} is not set`);
      return found;
    });
    return key === 'port' && text !== value ? Number(text) : text;
  }
  if (Array.isArray(value)) return value.map((each) => withVariables(each, path));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withVariables(each, path, name)]));
}
