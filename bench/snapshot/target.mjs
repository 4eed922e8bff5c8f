// The ends of a pair between rounds: emptied, flushed, and looked at.
import { rm, stat } from 'node:fs/promises';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { createIsolatedDialect } from 'replicaverse';
import { TABLE } from './dataset.mjs';
import { countSqliteRows } from './peer-program.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

/**
 * @typedef {object} Content
 * @property {number} rows
 * @property {number} bytes that they take, without what the database keeps beside them
 */

// SQLite keeps its write-ahead log and an index of it beside the file.
const SQLITE_FILES = ['', '-wal', '-shm'];

/**
 * Removes the table, and waits until the server has written what it still held back, so that one side's writes do not
 * slow the other's.
 * @param {Database} database
 * @returns {Promise<void>}
 */
export async function removeTable(database) {
  if (database.dialect === 'postgres') {
    await executeSql(database.uri, `DROP TABLE IF EXISTS ${TABLE}`);
    await flushPostgres(database.uri);
  } else if (database.dialect === 'mariadb') {
    await executeMariadb(database.uri, `DROP TABLE IF EXISTS ${TABLE}`);
  } else if (database.dialect === 'mongodb') {
    await withMongo(database.uri, async (db, client) => {
      await db.dropCollection(TABLE);
      // Not every user may; then both sides go without.
      await client.db('admin').command({ fsync: 1 }).catch(() => undefined);
    });
  } else {
    await Promise.all(SQLITE_FILES.map((suffix) => rm(database.uri + suffix, { force: true })));
  }
}

/**
 * What the table holds.
 * @param {Database} database
 * @returns {Promise<Content>}
 */
export async function readContent({ dialect, uri }) {
  if (dialect === 'postgres') {
    const [row] = await executeSql(uri, `SELECT count(*) AS rows, pg_relation_size('${TABLE}') AS bytes FROM ${TABLE}`);
    return { rows: Number(row?.rows), bytes: Number(row?.bytes) };
  }
  if (dialect === 'mariadb') {
    const [row] = await executeMariadb(uri, `SELECT count(*) AS \`rows\`, sum(length(id)) AS bytes FROM ${TABLE}`);
    return { rows: Number(row?.rows), bytes: Number(row?.bytes) };
  }
  if (dialect === 'mongodb') {
    return withMongo(uri, async (db) => {
      const { count, size } = await db.command({ collStats: TABLE });
      return { rows: count, bytes: size };
    });
  }
  return { rows: await countSqliteRows(uri), bytes: (await stat(uri)).size };
}

/**
 * Whether the database has the table already.
 * @param {Database} database
 * @returns {Promise<boolean>}
 */
export async function hasTable({ dialect, uri }) {
  if (dialect === 'postgres') {
    const [row] = await executeSql(uri, `SELECT to_regclass('${TABLE}') IS NOT NULL AS found`);
    return row?.found === true;
  }
  if (dialect === 'mariadb') return (await executeMariadb(uri, `SHOW TABLES LIKE '${TABLE}'`)).length > 0;
  if (dialect === 'mongodb') return withMongo(uri, (db) => db.listCollections({ name: TABLE }).hasNext());
  return stat(uri).then(
    () => true,
    () => false,
  );
}

/**
 * Runs one statement in a connection of its own.
 * @param {string} uri of a PostgreSQL
 * @param {string} statement
 * @returns {Promise<Record<string, unknown>[]>}
 */
export async function executeSql(uri, statement) {
  const client = new pg.Client({ connectionString: uri });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Runs one statement in a connection of its own.
 * @param {string} uri of a MariaDB or MySQL
 * @param {string} statement
 * @returns {Promise<Record<string, unknown>[]>}
 */
async function executeMariadb(uri, statement) {
  const dialect = await createIsolatedDialect({ dialect: 'mariadb', uri });
  try {
    return await dialect.executeQuery(statement);
  } finally {
    await dialect.disconnect();
  }
}

/**
 * The version of the server or library behind a database.
 * @param {Database} database
 * @returns {Promise<string | undefined>} undefined for SQLite, which is part of the programs themselves
 */
export async function serverVersion({ dialect, uri }) {
  if (dialect === 'postgres') {
    const [row] = await executeSql(uri, `SELECT current_setting('server_version') AS version`);
    return `PostgreSQL ${String(row?.version)}`;
  }
  if (dialect === 'mariadb') {
    const [row] = await executeMariadb(uri, 'SELECT version() AS version');
    return `MariaDB ${String(row?.version)}`;
  }
  if (dialect === 'mongodb') {
    return withMongo(uri, async (db) => `MongoDB ${(await db.admin().serverInfo()).version}`);
  }
  return undefined;
}

/**
 * Not every user may; then both sides go without.
 * @param {string} uri
 */
async function flushPostgres(uri) {
  await executeSql(uri, 'CHECKPOINT').catch((error) => {
    if (error.code !== '42501') throw error;
  });
}

/**
 * @template T
 * @param {string} uri
 * @param {(db: import('mongodb').Db, client: MongoClient) => Promise<T>} use
 * @returns {Promise<T>}
 */
async function withMongo(uri, use) {
  const client = new MongoClient(uri);
  try {
    return await use(client.db(), client);
  } finally {
    await client.close();
  }
}
