// The databases that a soak run replicates from: started, killed, written at random, and read.
import { MongoClient } from 'mongodb';
import { eventually, startMariadb, startMongo, startPostgres } from '../support/index.mjs';
import { MARIADB_SCHEMA, mariadbWriting } from './mariadb-workload.mjs';
import { mongoWriting } from './mongodb-workload.mjs';
import { normalRows } from './rows.mjs';
import { plain, throughDialect } from './targets.mjs';
import { SCHEMA, TABLES, postgresWriting } from './workload.mjs';

/** @typedef {'postgres' | 'mariadb' | 'mongodb'} SourceKind */

/** @type {readonly SourceKind[]} */
export const SOURCES = ['postgres', 'mariadb', 'mongodb'];

/**
 * @typedef {object} Source
 * @property {SourceKind} dialect
 * @property {string[]} tables that are written
 * @property {(database: string) => Promise<void>} create
 * @property {(database: string) => string} uri which may change its port
 * @property {() => Promise<void>} kill and it comes back
 * @property {(database: string, random: import('./random.mjs').Random) => {run(): Promise<void>, stop(): void, committed: number}} writing
 * @property {(database: string, table: string) => Promise<import('./rows.mjs').Rows>} rows
 * @property {(database: string) => Promise<void>} drop
 * @property {() => Promise<void>} remove
 */

/**
 * @param {SourceKind} kind
 * @returns {Promise<Source>}
 */
export async function startSource(kind) {
  switch (kind) {
    case 'postgres':
      return postgresSource();
    case 'mariadb':
      return mariadbSource();
    case 'mongodb':
      return mongoSource();
  }
}

/** @returns {Promise<Source>} */
async function postgresSource() {
  const server = await startPostgres();
  const uri = (/** @type {string} */ database) => withDatabase(server.uri, database);
  return {
    dialect: 'postgres',
    tables: [...TABLES],
    create: async (database) => {
      await server.createDatabase(database);
      await server.psql(SCHEMA, database);
    },
    uri,
    kill: () => restart(server),
    writing: (database, random) => postgresWriting(() => uri(database), random),
    rows: async (database, table) => {
      const json = await server.psql(`SELECT coalesce(json_agg(t), '[]') FROM ${table} t`, database);
      return normalRows(table, /** @type {import('./rows.mjs').Row[]} */ (JSON.parse(json)));
    },
    drop: (database) => dropPostgres(server, database),
    remove: () => server.remove(),
  };
}

/** @returns {Promise<Source>} */
async function mariadbSource() {
  // The log names columns, so that what was written before a column came can be read by a process that was started afterwards.
  const server = await startMariadb({ settings: { 'binlog-row-metadata': 'FULL' } });
  const uri = (/** @type {string} */ database) => withDatabase(server.uri, database);
  return {
    dialect: 'mariadb',
    tables: [...TABLES],
    create: async (database) => {
      await server.sql(`CREATE DATABASE ${database}`);
      await server.sql(MARIADB_SCHEMA, database);
    },
    uri,
    kill: () => restart(server),
    writing: (database, random) => mariadbWriting(() => uri(database), random),
    rows: (database, table) => throughDialect({ dialect: 'mariadb', uri: uri(database) }, table),
    drop: async (database) => {
      await server.sql(`DROP DATABASE ${database}`);
    },
    remove: () => server.remove(),
  };
}

/** @returns {Promise<Source>} */
async function mongoSource() {
  const server = await startMongo();
  const uri = (/** @type {string} */ database) => withDatabase(server.uri, database);
  const tables = ['item'];
  /**
   * @template T
   * @param {(client: MongoClient) => Promise<T>} use
   */
  const withClient = async (use) => {
    const client = new MongoClient(server.uri, { serverSelectionTimeoutMS: 2000 });
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  };
  return {
    dialect: 'mongodb',
    tables,
    create: (database) =>
      withClient(async (client) => {
        // The columns of the target are those of the documents that are there at first.
        const first = { _id: -1, name: 'first', amount: 0.25, big: 'x', flag: true, at: new Date(0), data: { n: 0 }, n: 0 };
        await client.db(database).collection(/** @type {string} */ (tables[0])).insertOne(/** @type {import('mongodb').Document} */ (first));
      }),
    uri,
    kill: () => restart(server),
    writing: (database, random) => mongoWriting(() => server.uri, database, random),
    rows: (database, table) =>
      withClient(async (client) => {
        const documents = await client.db(database).collection(table).find().toArray();
        return normalRows(table, documents.map((document) => plain(table, document)));
      }),
    drop: (database) => withClient(async (client) => void (await client.db(database).dropDatabase())),
    remove: () => server.remove(),
  };
}

/** @param {{kill(): Promise<void>, start(): Promise<void>}} server */
async function restart(server) {
  await server.kill();
  await server.start();
}

/**
 * @param {string} uri
 * @param {string} database
 */
function withDatabase(uri, database) {
  const own = new URL(uri);
  own.pathname = `/${database}`;
  return own.href;
}

/**
 * What a killed process left at the source goes with its database.
 * @param {{psql(sql: string, database?: string): Promise<string>}} server
 * @param {string} database
 */
async function dropPostgres(server, database) {
  await eventually(
    async () => {
      await server.psql(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '${database}' AND active;
         SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${database}' AND NOT active;`,
        'postgres',
      );
      await server.psql(`DROP DATABASE ${database} WITH (FORCE)`, 'postgres');
      return true;
    },
    { what: 'dropping the source of the seed' },
  );
}
