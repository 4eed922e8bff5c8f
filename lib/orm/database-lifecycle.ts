// Databases created and dropped: on servers through their maintenance database, for SQLite as files.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { configError } from '../errors.js';
import { sqliteFile, uriOfDatabase } from './database-uri.js';
import { NativeBackedDialect } from './native-dialect.js';
import { getDialectConfig, requireUsable } from './supported-dialects.js';

/** The outcome of {@link createDatabase} and {@link dropDatabase}. */
export interface DatabaseOutcome {
  ok: boolean;
  /** What was done, in words. */
  detail?: string;
  /** Why it was not done. */
  error?: string;
}

/** How databases of one server are told of and named. */
interface Server {
  /** The database that always is there. */
  maintenance: string;
  /** The longest name in bytes; the server would cut a longer one. */
  longestName: number;
  quote: (name: string) => string;
  /** Asks whether a database is there, by its name as the only parameter. */
  exists: string;
  /** Follows the name in DROP DATABASE. */
  afterDrop: string;
  /** The server's own databases. */
  own: readonly string[];
}

const doubled = (mark: string) => (name: string) => `${mark}${name.replaceAll(mark, mark + mark)}${mark}`;

const POSTGRES: Server = {
  maintenance: 'postgres',
  longestName: 63,
  quote: doubled('"'),
  exists: 'SELECT 1 AS found FROM pg_database WHERE datname = $1',
  // Sessions of others would keep the database.
  afterDrop: ' WITH (FORCE)',
  own: ['postgres', 'template0', 'template1', 'defaultdb', 'system'],
};
const MYSQL: Server = {
  maintenance: 'mysql',
  longestName: 64,
  quote: doubled('`'),
  // The catalogue compares names in either case, and the server does so only where its files are not told apart by it.
  exists: `SELECT 1 AS found FROM information_schema.schemata, (SELECT ? AS name) AS sought
    WHERE schema_name = name AND (@@lower_case_table_names <> 0 OR CAST(schema_name AS BINARY) = CAST(name AS BINARY))`,
  afterDrop: '',
  own: ['mysql', 'information_schema', 'performance_schema', 'sys'],
};
const SERVERS: Readonly<Record<string, Server>> = {
  postgres: POSTGRES,
  cockroachdb: { ...POSTGRES, afterDrop: ' CASCADE' },
  mysql: MYSQL,
  mariadb: MYSQL,
};
const MONGODB_OWN = ['admin', 'local', 'config'];
/** SQLite's files beside the database: write-ahead log, its index, rollback journal. */
const SQLITE_FILES = ['', '-wal', '-shm', '-journal'];

/**
 * Creates a database on the server of a URI; one that is there already is left as it is. Never rejects.
 *
 * @param uri any URI of the server: its database is replaced. Of SQLite it is the file itself, and `name` has no meaning.
 */
export async function createDatabase(dialect: string, uri: string, name: string): Promise<DatabaseOutcome> {
  return outcome(async () => {
    requireServed(dialect);
    if (dialect === 'sqlite') return await createFile(uri);
    if (dialect === 'mongodb') {
      checkMongoName(name);
      return 'MongoDB: auto-created on first write';
    }
    const server = serverOf(dialect, name);
    return await onServer(dialect, uriOfDatabase(uri, server.maintenance), async (session) => {
      if ((await session.executeQuery(server.exists, [name])).length > 0) return `Database "${name}" already exists`;
      await session.executeRun(`CREATE DATABASE ${server.quote(name)}`);
      return `Database "${name}" created`;
    });
  });
}

/**
 * Drops a database with everything in it; on PostgreSQL other sessions are ended. Of SQLite the files are removed. The
 * server's own databases are refused. Never rejects.
 *
 * @param uri as of {@link createDatabase}
 */
export async function dropDatabase(dialect: string, uri: string, name: string): Promise<DatabaseOutcome> {
  return outcome(async () => {
    requireServed(dialect);
    if (dialect === 'sqlite') return await removeFile(uri);
    if (dialect === 'mongodb') return await dropMongo(uri, name);
    const server = serverOf(dialect, name);
    if (server.own.includes(name.toLowerCase())) throw configError(`"${name}" is the server's own database and is not dropped`);
    return await onServer(dialect, uriOfDatabase(uri, server.maintenance), async (session) => {
      if ((await session.executeQuery(server.exists, [name])).length === 0) return `Database "${name}" does not exist (already dropped)`;
      await session.executeRun(`DROP DATABASE ${server.quote(name)}${server.afterDrop}`);
      return `Database "${name}" dropped`;
    });
  });
}

async function outcome(work: () => Promise<string>): Promise<DatabaseOutcome> {
  try {
    return { ok: true, detail: await work() };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function requireServed(dialect: string): void {
  getDialectConfig(dialect);
  if (dialect === 'sqlite' || dialect === 'mongodb' || Object.hasOwn(SERVERS, dialect)) return;
  requireUsable(dialect);
  throw configError(`databases of the registered dialect "${dialect}" cannot be created or dropped here`);
}

function serverOf(dialect: string, name: string): Server {
  const server = SERVERS[dialect];
  if (server === undefined) throw configError(`databases of "${dialect}" cannot be created or dropped here`);
  if (typeof name !== 'string' || name === '' || name.includes('\0')) throw configError('the name of a database must be a text that is not empty');
  if (Buffer.byteLength(name) > server.longestName) {
    throw configError(`the name of the database has more than ${server.longestName} bytes`);
  }
  return server;
}

function checkMongoName(name: string): void {
  const valid = typeof name === 'string' && name !== '' && Buffer.byteLength(name) < 64 && !/[/\\. "$*<>:|?\0]/.test(name);
  if (!valid) throw configError('a MongoDB database name has 1 to 63 bytes, and none of / \\ . " $ * < > : | ? or a space');
}

async function onServer(dialect: string, uri: string, work: (session: NativeBackedDialect) => Promise<string>): Promise<string> {
  const session = new NativeBackedDialect();
  await session.connect({ dialect, uri, schemaStrategy: 'none', pool: { min: 0, max: 1 } });
  try {
    return await work(session);
  } finally {
    await session.disconnect();
  }
}

async function dropMongo(uri: string, name: string): Promise<string> {
  checkMongoName(name);
  if (MONGODB_OWN.includes(name)) throw configError(`"${name}" is the server's own database and is not dropped`);
  return await onServer('mongodb', uriOfDatabase(uri, name), async (session) => {
    await session.executeRun(JSON.stringify({ dropDatabase: 1 }));
    return 'MongoDB database dropped';
  });
}

async function createFile(uri: string): Promise<string> {
  if (sqliteFile(uri) === null) return 'sqlite :memory: — nothing to create';
  // The journal mode is stored in the file, which makes one.
  await onServer('sqlite', uri, async (session) => {
    await session.executeQuery('PRAGMA journal_mode = WAL');
    return '';
  });
  return 'sqlite: file auto-created';
}

async function removeFile(uri: string): Promise<string> {
  const path = sqliteFile(uri);
  if (path === null) return 'sqlite :memory: — nothing to drop';
  if (!existsSync(path)) return `SQLite file "${uri}" does not exist (already dropped)`;
  for (const suffix of SQLITE_FILES) await rm(`${path}${suffix}`, { force: true });
  return `SQLite file "${uri}" deleted`;
}
