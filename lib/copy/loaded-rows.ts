// Rows of several entities held in memory, and how they are loaded: for what is small enough to be looked at whole.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { configError, ReplicaverseError } from '../errors.js';
import { createIsolatedDialect } from '../orm/index.js';
import type { DialectName } from '../types/connection.js';
import type { EntityRecord } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { parseCsv } from './csv-text.js';
import { parseInserts } from './sql-inserts.js';

/** One row. */
export type LoadedRow = Record<string, unknown>;

/** The rows of each entity, or table, by its name. */
export type LoadedRows = Map<string, LoadedRow[]>;

/** A database to load from. */
export interface DbLoaderConfig {
  dialect: DialectName;
  uri: string;
}

/**
 * Loads all rows of the entities, apart from softly deleted ones. The database stays connected until `disconnect` is called.
 *
 * @param batchSize rows that are read at once
 * @throws {ReplicaverseError} saying why the database cannot be read.
 */
export async function loadFromDb(
  { dialect, uri }: DbLoaderConfig,
  schemas: readonly EntityDeclaration[],
  batchSize = 500,
): Promise<{ data: LoadedRows; disconnect: () => Promise<void> }> {
  if (!Number.isInteger(batchSize) || batchSize < 1) throw configError('batchSize: expected a whole number from 1');
  const database = await createIsolatedDialect({ dialect, uri, schemaStrategy: 'none' }, schemas);
  const data: LoadedRows = new Map();
  try {
    for (const schema of schemas) {
      const rows: EntityRecord[] = [];
      let batch: EntityRecord[];
      do {
        batch = await database.find(schema, {}, { sort: { id: 1 }, skip: rows.length, limit: batchSize });
        rows.push(...batch);
      } while (batch.length === batchSize);
      data.set(schema.name, rows);
    }
  } catch (error) {
    await database.disconnect().catch(() => undefined);
    throw error;
  }
  return { data, disconnect: () => database.disconnect() };
}

/**
 * Loads a JSON file: an object of lists, also within a member `entities`; a bare list is called `default`.
 *
 * @throws {ReplicaverseError} with code `ERR_FILE` or `ERR_FORMAT`.
 */
export function loadFromJson(file: string): LoadedRows {
  const content = parsed(file);
  if (Array.isArray(content)) return new Map([['default', content as LoadedRow[]]]);
  if (typeof content !== 'object' || content === null) return new Map();
  const { entities } = content as { entities?: unknown };
  const lists = Object.entries(typeof entities === 'object' && entities !== null ? entities : content);
  return new Map(lists.filter(([, rows]) => Array.isArray(rows)) as [string, LoadedRow[]][]);
}

/**
 * Loads a CSV file, or every one of a folder; each is an entity of its name. The first record names the fields.
 *
 * @throws {ReplicaverseError} with code `ERR_FILE`.
 */
export function loadFromCsv(path: string, separator = ','): LoadedRows {
  const files = isFolder(path)
    ? readdirSync(path)
        .filter((name) => extname(name) === '.csv')
        .sort()
        .map((name) => join(path, name))
    : [path];
  return new Map(files.map((file) => [basename(file, extname(file)), parseCsv(textOf(file), separator)]));
}

/**
 * Loads the `INSERT` statements of a dump, by the names of its tables; other statements are passed over.
 *
 * @throws {ReplicaverseError} with code `ERR_FILE`, or `ERR_FORMAT` for an `INSERT` that cannot be understood.
 */
export function loadFromSql(file: string): LoadedRows {
  return parseInserts(textOf(file), file);
}

function parsed(file: string): unknown {
  try {
    return JSON.parse(textOf(file));
  } catch (error) {
    if (error instanceof ReplicaverseError) throw error;
    throw new ReplicaverseError(`${file}: no JSON: ${(error as Error).message}`, { kind: 'Format', code: 'ERR_FORMAT', cause: error });
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new ReplicaverseError(`${file}: ${(error as Error).message}`, { kind: 'File', code: 'ERR_FILE', cause: error });
  }
}
