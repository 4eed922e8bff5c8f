// The ends of a copy, from the many forms in which applications name them to databases and files.
import { configError, ReplicaverseError } from '../errors.js';
import type { NativeDialect } from '../../native.js';
import { EntityService, NativeBackedDialect } from '../orm/index.js';
import type { ConnectionConfig, DialectType } from '../types/connection.js';
import type { EntityDeclaration } from '../types/schema.js';
import { withoutPassword } from './label.js';
import type { CopyFile, CopyFileFormat } from './types.js';

/** An end whose form is known, and that is not opened yet. */
export type NamedEnd = FileEnd | ConfiguredEnd | OpenEnd;

interface FileEnd {
  kind: 'files';
  label: string;
  file: CopyFile;
}

interface ConfiguredEnd {
  kind: 'connect';
  label: string;
  config: ConnectionConfig;
  createTables: boolean | undefined;
}

interface OpenEnd {
  kind: 'open';
  label: string;
  dialect: NativeBackedDialect;
}

/** An end as the native core takes it. */
export interface OpenedEnd {
  label: string;
  files?: CopyFile;
  session?: NativeDialect;
  tablePrefix: string;
  createTables?: boolean;
  /** Closes what was opened for the copy. */
  close(): Promise<void>;
}

const FORMATS: Readonly<Record<string, CopyFileFormat>> = {
  csv: 'csv',
  json: 'json',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  sql: 'sql',
};

const SCHEMES: Readonly<Record<string, DialectType>> = {
  postgres: 'postgres',
  postgresql: 'postgres',
  cockroachdb: 'cockroachdb',
  cockroach: 'cockroachdb',
  mongodb: 'mongodb',
  'mongodb+srv': 'mongodb',
  mysql: 'mysql',
  mariadb: 'mariadb',
  sqlite: 'sqlite',
};

/**
 * Finds out what an end is.
 *
 * @param role `source` or `destination`, for messages
 * @throws {ReplicaverseError} of kind `Config` if it is nothing that can be copied from or to.
 */
export function namedEnd(end: unknown, role: string): NamedEnd {
  if (typeof end === 'string') return endOfText(end, role);
  if (typeof end !== 'object' || end === null) throw configError(`${role}: expected a URI, a path or an object`);
  if (end instanceof NativeBackedDialect) return openEnd(end);
  if (end instanceof EntityService) {
    if (end.dialect instanceof NativeBackedDialect) return openEnd(end.dialect);
    throw notBuiltIn(role);
  }
  const fields = end as Record<string, unknown>;
  if (typeof fields.find === 'function' || typeof fields.dialect === 'object') throw notBuiltIn(role);
  if (fields.type !== undefined) return endOfType(fields, role);
  return fields.format === undefined ? configuredEnd(fields, role) : fileEnd(fields, role);
}

function openEnd(dialect: NativeBackedDialect): OpenEnd {
  return { kind: 'open', label: dialect.dialectType, dialect };
}

function notBuiltIn(role: string): ReplicaverseError {
  const message = `${role}: only dialects that are built in can be copied from or to; give {dialect, uri} or a service over one`;
  return new ReplicaverseError(message, { kind: 'Unsupported', code: 'ERR_UNSUPPORTED' });
}

/** A URI, a path, or a path behind the name of its format. */
function endOfText(text: string, role: string): NamedEnd {
  if (text === '') throw configError(`${role}: a URI or path is required`);
  const scheme = /^([a-z][a-z0-9+]+):/i.exec(text)?.[1]?.toLowerCase();
  const format = scheme === undefined ? undefined : FORMATS[scheme];
  if (scheme !== undefined && format !== undefined) {
    return fileEnd({ format, path: text.slice(scheme.length + 1) }, role);
  }
  const dialect = scheme === undefined ? undefined : SCHEMES[scheme];
  if (dialect !== undefined) {
    // CockroachDB speaks PostgreSQL's protocol, and is addressed like it.
    const uri = dialect === 'cockroachdb' ? text.replace(/^[^:]+:/, 'postgresql:') : text;
    return configuredEnd({ dialect, uri }, role);
  }
  if (scheme === 'file' || text === ':memory:' || /\.(db|sqlite|sqlite3)$/i.test(text)) {
    return configuredEnd({ dialect: 'sqlite', uri: text }, role);
  }
  const byExtension = FORMATS[/\.([a-z]+)$/i.exec(text)?.[1]?.toLowerCase() ?? ''];
  if (byExtension !== undefined) return fileEnd({ format: byExtension, path: text }, role);
  const shown = withoutPassword(text);
  throw configError(
    `${role}: "${shown}" is no URI of a known database, and its name has no known extension (.csv .json .ndjson .sql .db); ` +
      'for a folder put the format before it, as in csv:folder',
  );
}

/** The form that names its type, with a `file`. */
function endOfType(fields: Record<string, unknown>, role: string): NamedEnd {
  const { type, file, createTables, ...rest } = fields;
  const short = role.startsWith('dest') ? 'dest' : 'source';
  const needs = (kind: string, what: string): ReplicaverseError => configError(`${kind} ${short} requires ${what}`);
  const path = typeof file === 'string' && file !== '' ? file : undefined;
  switch (type) {
    case 'db':
      if (!rest.dialect || !rest.uri) throw needs('DB', 'dialect + uri');
      return configuredEnd({ ...rest, createTables }, role);
    case 'csv':
      if (path === undefined) throw needs('CSV', short === 'dest' ? 'directory path' : 'file or directory path');
      return fileEnd({ format: 'csv', path }, role);
    case 'json':
      if (path === undefined) throw needs('JSON', 'file path');
      return fileEnd({ format: 'json', path, ...(short === 'dest' ? { namedLists: true } : {}) }, role);
    case 'sql':
    case 'sql-dump':
      if (path === undefined) throw needs(short === 'dest' ? 'SQL dump' : 'SQL', 'file path');
      return fileEnd({ format: 'sql', path }, role);
    default:
      // Somebody may have put a URI in the place of the type.
      throw configError(`Unknown ${short} type: ${withoutPassword(String(type))}`);
  }
}

function fileEnd(fields: Record<string, unknown>, role: string): FileEnd {
  const { format, path, delimiter, emptyCells, dialect, key, namedLists, ...unknown } = fields;
  refuseUnknown(unknown, role, 'format, path, delimiter, emptyCells, dialect, key, namedLists');
  if (typeof path !== 'string' || path === '') throw configError(`${role}.path: a file or folder is required`);
  const keys = key === undefined ? undefined : typeof key === 'string' ? [key] : key;
  // The core checks the values.
  const file = { format, path, delimiter, emptyCells, dialect, key: keys, namedLists } as CopyFile;
  return { kind: 'files', label: path, file };
}

function configuredEnd(fields: Record<string, unknown>, role: string): ConfiguredEnd {
  const { createTables, createDb, schemas, ...config } = fields;
  // Applications of other versions set these, which say nothing that is not so anyway.
  void createDb;
  void schemas;
  if (typeof config.dialect !== 'string' || typeof config.uri !== 'string') {
    throw configError(`${role}: expected {dialect, uri} or {format, path}`);
  }
  if (createTables !== undefined && typeof createTables !== 'boolean') {
    throw configError(`${role}.createTables: expected true or false`);
  }
  const shown = withoutPassword(config.uri);
  const label = shown.includes('://') ? shown : `${config.dialect}:${shown.replace(/^(sqlite|file):/, '')}`;
  return { kind: 'connect', label, config: config as unknown as ConnectionConfig, createTables };
}

function refuseUnknown(unknown: object, role: string, known: string): void {
  const [first] = Object.keys(unknown);
  if (first !== undefined) throw configError(`${role}.${first}: there is no such setting; known are ${known}`);
}

/** How an end is opened. */
interface Opening {
  schemas: readonly EntityDeclaration[];
  /** Whether the tables of the entities may be made. */
  createTables: boolean;
}

/**
 * Opens an end: connects to a database that is not open yet.
 *
 * @throws {ReplicaverseError} saying why it cannot be reached.
 */
export async function openEndOf(end: NamedEnd, { schemas, createTables }: Opening): Promise<OpenedEnd> {
  const nothing = async (): Promise<void> => {};
  if (end.kind === 'files') return { label: end.label, files: end.file, tablePrefix: '', createTables: true, close: nothing };
  if (end.kind === 'open') {
    const { session, tablePrefix } = NativeBackedDialect.native(end.dialect);
    return { label: end.label, session, tablePrefix, createTables, close: nothing };
  }
  const mayCreate = createTables && end.createTables !== false;
  const dialect = new NativeBackedDialect();
  await dialect.connect({ ...end.config, schemaStrategy: end.config.schemaStrategy ?? (mayCreate ? 'update' : 'none') });
  try {
    if (mayCreate && schemas.length > 0) await dialect.initSchema(schemas);
  } catch (error) {
    await dialect.disconnect();
    throw error;
  }
  const { session, tablePrefix } = NativeBackedDialect.native(dialect);
  return { label: end.label, session, tablePrefix, createTables: mayCreate, close: () => dialect.disconnect() };
}
