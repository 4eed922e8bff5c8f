// The databases that a soak run replicates into: started, killed, read, and watched for what was applied twice.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { createIsolatedDialect } from 'replicaverse';
import { eventually, startMariadb, startMongo, startPostgres } from '../support/index.mjs';
import { AUDIT_SQL, MongoAudit, READ_AUDIT, rangesOf } from './audit.mjs';
import { normalRows } from './rows.mjs';

/** @typedef {'sqlite' | 'postgres' | 'mariadb' | 'mongodb'} TargetKind */

/** @type {readonly TargetKind[]} */
export const TARGETS = ['sqlite', 'postgres', 'mariadb', 'mongodb'];

/**
 * @typedef {object} Target
 * @property {() => import('./replicator-process.mjs').Ends['target']} config
 * @property {() => Promise<void>} [kill] and it comes back; a file has no server to kill
 * @property {(table: string) => Promise<import('./rows.mjs').Rows>} rows
 * @property {() => Promise<void>} reset an empty database
 * @property {() => Promise<void>} startAudit records what is applied from now on, or from when the first checkpoint is there
 * @property {() => Promise<import('./audit.mjs').Range[]>} endAudit
 * @property {() => Promise<void>} remove
 */

/**
 * @param {TargetKind} kind
 * @param {string} folder for files
 * @returns {Promise<Target>}
 */
export async function startTarget(kind, folder) {
  switch (kind) {
    case 'sqlite':
      return sqliteTarget(folder);
    case 'postgres':
      return postgresTarget();
    case 'mariadb':
      return mariadbTarget();
    case 'mongodb':
      return mongoTarget();
  }
}

/**
 * @param {string} folder
 * @returns {Target}
 */
function sqliteTarget(folder) {
  let number = 0;
  const file = () => join(folder, `target-${String(number)}.db`);
  return {
    config: () => ({ dialect: 'sqlite', uri: file() }),
    rows: (table) => throughDialect({ dialect: 'sqlite', uri: file() }, table),
    reset: async () => {
      number += 1;
      await Promise.resolve();
    },
    startAudit: () => startAudit({ dialect: 'sqlite', uri: file() }),
    endAudit: () => endAudit({ dialect: 'sqlite', uri: file() }),
    remove: async () => {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns {Promise<Target>} */
async function postgresTarget() {
  const server = await startPostgres();
  let number = 0;
  let uri = server.uri;
  const database = () => `target_${String(number)}`;
  return {
    config: () => ({ dialect: 'postgres', uri }),
    kill: () => restart(server),
    rows: async (table) => {
      const json = await server.psql(`SELECT coalesce(json_agg(t), '[]') FROM ${table} t`, database());
      return normalRows(table, /** @type {import('./rows.mjs').Row[]} */ (JSON.parse(json)));
    },
    reset: async () => {
      number += 1;
      uri = await server.createDatabase(database());
    },
    startAudit: () => startAudit({ dialect: 'postgres', uri }),
    endAudit: () => endAudit({ dialect: 'postgres', uri }),
    remove: () => server.remove(),
  };
}

/** @returns {Promise<Target>} */
async function mariadbTarget() {
  const server = await startMariadb();
  let number = 0;
  const config = () => {
    const uri = new URL(server.uri);
    uri.pathname = `/target_${String(number)}`;
    return /** @type {const} */ ({ dialect: 'mariadb', uri: uri.href });
  };
  return {
    config,
    kill: () => restart(server),
    rows: (table) => throughDialect(config(), table),
    reset: async () => {
      number += 1;
      await server.sql(`CREATE DATABASE target_${String(number)}`);
    },
    startAudit: () => startAudit(config()),
    endAudit: () => endAudit(config()),
    remove: () => server.remove(),
  };
}

/** @returns {Promise<Target>} */
async function mongoTarget() {
  const server = await startMongo();
  let number = 0;
  /** @type {MongoAudit | undefined} */
  let audit;
  const database = () => `target_${String(number)}`;
  const uri = () => {
    const url = new URL(server.uri);
    url.pathname = `/${database()}`;
    url.searchParams.set('serverSelectionTimeoutMS', '2000');
    return url.href;
  };
  return {
    config: () => ({ dialect: 'mongodb', uri: uri() }),
    kill: () => restart(server),
    rows: async (table) => {
      const client = new MongoClient(server.uri, { serverSelectionTimeoutMS: 2000, promoteLongs: true });
      try {
        const documents = await client.db(database()).collection(table).find().toArray();
        return normalRows(table, documents.map((document) => plain(table, document)));
      } finally {
        await client.close();
      }
    },
    reset: async () => {
      number += 1;
      await Promise.resolve();
    },
    startAudit: async () => {
      audit = new MongoAudit(server.uri, database());
      await Promise.resolve();
    },
    endAudit: async () => {
      await audit?.close();
      return audit?.ranges ?? [];
    },
    remove: () => server.remove(),
  };
}

/**
 * A document as a row: its key under the names of the source.
 * @param {string} table
 * @param {import('mongodb').Document} document
 * @returns {import('./rows.mjs').Row}
 */
export function plain(table, document) {
  const row = Object.fromEntries(
    Object.entries(document).map(([name, value]) => [name, isDecimal(value) ? value.toString() : /** @type {unknown} */ (value)]),
  );
  if (table === 'item') return { ...row, id: row.id ?? row._id };
  return { .../** @type {object} */ (typeof row._id === 'object' ? row._id : {}), ...row };
}

/**
 * @param {unknown} value
 * @returns {value is {toString(): string}}
 */
function isDecimal(value) {
  return typeof value === 'object' && value !== null && '_bsontype' in value && value._bsontype === 'Decimal128';
}

/**
 * @param {import('replicaverse').ConnectionConfig} config
 * @param {string} table
 */
export async function throughDialect(config, table) {
  const dialect = await createIsolatedDialect({ ...config, schemaStrategy: 'none' });
  try {
    return normalRows(table, /** @type {import('./rows.mjs').Row[]} */ (await dialect.executeQuery(`SELECT * FROM ${table}`)));
  } finally {
    await dialect.disconnect();
  }
}

/**
 * The table of checkpoints is there a moment after the replicating process has begun.
 * @param {{dialect: 'sqlite' | 'postgres' | 'mariadb', uri: string}} config
 */
async function startAudit(config) {
  const attempt = async () => {
    const dialect = await createIsolatedDialect({ ...config, schemaStrategy: 'none' });
    try {
      for (const statement of AUDIT_SQL[config.dialect]) await dialect.executeRun(statement);
    } finally {
      await dialect.disconnect();
    }
    return true;
  };
  await eventually(attempt, { deadlineMs: 30_000, what: 'the table of checkpoints' });
}

/** @param {{dialect: 'sqlite' | 'postgres' | 'mariadb', uri: string}} config */
async function endAudit(config) {
  const dialect = await createIsolatedDialect({ ...config, schemaStrategy: 'none' });
  try {
    return rangesOf(/** @type {Record<string, unknown>[]} */ (await dialect.executeQuery(READ_AUDIT)));
  } finally {
    await dialect.disconnect();
  }
}

/** @param {{kill(): Promise<void>, start(): Promise<void>}} server */
async function restart(server) {
  await server.kill();
  await server.start();
}
