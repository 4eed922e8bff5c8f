// Rows that are held in memory, written to databases and files.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ReplicaverseError } from '../errors.js';
import { createIsolatedDialect } from '../orm/index.js';
import { completeSchema } from '../orm/registry.js';
import type { DialectName } from '../types/connection.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { csvOf } from './csv-text.js';
import type { LoadedRow, LoadedRows } from './loaded-rows.js';
import { insertsOf } from './sql-inserts.js';

/** What was written of one entity. */
export interface WriteStats {
  entity: string;
  /** Rows that were written. */
  copied: number;
  /** Rows that were refused. */
  errors: number;
  durationMs: number;
}

/** A database to write to. */
export interface DbWriterConfig {
  dialect: DialectName;
  uri: string;
  /** Whether tables and columns that are missing are made. */
  createTables?: boolean;
}

/**
 * Inserts rows into a database, which stays connected until `disconnect` is called. A row that is refused, such as one whose id
 * is there already, is counted, and the rest goes on.
 *
 * @throws {ReplicaverseError} saying why the database cannot be connected to.
 */
export async function writeToDb(
  { dialect, uri, createTables = false }: DbWriterConfig,
  schemas: readonly EntityDeclaration[],
  data: LoadedRows,
  onLog?: (line: string) => void,
): Promise<{ stats: WriteStats[]; disconnect: () => Promise<void> }> {
  const database = await createIsolatedDialect({ dialect, uri, schemaStrategy: createTables ? 'update' : 'none' }, schemas);
  const stats: WriteStats[] = [];
  try {
    for (const schema of schemas) {
      const rows = rowsOf(data, schema);
      const written = await insertAll(database, schema, rows);
      stats.push(written);
      if (rows.length > 0) onLog?.(`  ${schema.name} : ${written.copied} copied, ${written.errors} errors (${written.durationMs}ms)`);
    }
  } catch (error) {
    await database.disconnect().catch(() => undefined);
    throw error;
  }
  return { stats, disconnect: () => database.disconnect() };
}

/** Writes rows as `INSERT` statements; what was written of each entity. */
export function writeToSql(file: string, schemas: readonly EntityDeclaration[], data: LoadedRows, sourceLabel = 'unknown'): WriteStats[] {
  const label = sourceLabel.replaceAll(/[\r\n]+/g, ' ');
  let text = `-- SQL dump\n-- Source : ${label}\n-- Date : ${new Date().toISOString()}\n-- Entities : ${data.size}\n\n`;
  const stats = schemas.map((schema) => {
    const { name, collection } = completeSchema(schema);
    const rows = rowsOf(data, schema);
    if (rows.length > 0) text += `-- Entity: ${name} (${rows.length} rows)\n${insertsOf(collection, rows)}`;
    return statsOf(name, rows);
  });
  write(file, text);
  return stats;
}

/** Writes rows as JSON, `{source, date, entities: {name: rows}}`; what was written of each entity. */
export function writeToJson(file: string, data: LoadedRows, sourceLabel = 'unknown'): WriteStats[] {
  const content = { source: sourceLabel, date: new Date().toISOString(), entities: Object.fromEntries(data) };
  write(file, `${JSON.stringify(content, null, 2)}\n`);
  return [...data].map(([name, rows]) => statsOf(name, rows));
}

/** Writes rows as one CSV file for each entity that has some, into a folder; what was written of each entity. */
export function writeToCsv(folder: string, data: LoadedRows, separator = ','): WriteStats[] {
  mkdirSync(folder, { recursive: true });
  return [...data].map(([name, rows]) => {
    const text = csvOf(rows, separator);
    if (text !== undefined) write(join(folder, `${name}.csv`), text);
    return statsOf(name, rows);
  });
}

async function insertAll(database: IDialect, schema: EntityDeclaration, rows: readonly LoadedRow[]): Promise<WriteStats> {
  const start = Date.now();
  let errors = 0;
  for (const row of rows) {
    try {
      await database.create(schema, row);
    } catch (error) {
      if (!(error instanceof ReplicaverseError) || error.kind === 'Connection' || error.kind === 'Closed') throw error;
      errors += 1;
    }
  }
  return { entity: schema.name, copied: rows.length - errors, errors, durationMs: Date.now() - start };
}

/** Files call rows by their entity or by its table. */
function rowsOf(data: LoadedRows, schema: EntityDeclaration): readonly LoadedRow[] {
  const { name, collection } = completeSchema(schema);
  return data.get(name) ?? data.get(collection) ?? [];
}

function statsOf(entity: string, rows: readonly LoadedRow[]): WriteStats {
  return { entity, copied: rows.length, errors: 0, durationMs: 0 };
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new ReplicaverseError(`${file}: ${(error as Error).message}`, { kind: 'File', code: 'ERR_FILE', cause: error });
  }
}
