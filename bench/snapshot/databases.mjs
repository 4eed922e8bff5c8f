// The databases that are copied between: servers of the benchmark's own, or those of the user.
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { guardian } from '../../__test__/support/guardian.mjs';
import { startMariadb, startMongo, startPostgres } from '../../__test__/support/index.mjs';
import { databaseOf, refuseSameDatabase } from '../../examples/demo/database-uri.mjs';
import { uriOfDatabase } from '../../examples/demo/servers.mjs';
import { TABLE } from './dataset.mjs';
import { UsageError } from '../command-line.mjs';
import { hasTable, removeTable } from './target.mjs';

/** @typedef {import('../../examples/demo/undo.mjs').Undo} Undo */

/**
 * @typedef {object} Database
 * @property {'postgres' | 'mongodb' | 'mariadb' | 'sqlite'} dialect
 * @property {string} uri may hold a password: never to be printed
 */

/**
 * @typedef {object} Pair
 * @property {string} name
 * @property {Database} source
 * @property {Database} target
 * @property {Database} origin the PostgreSQL that makes the data; the source itself, if it is one
 */

// As durable as a server is out of the box. Nothing but the copies is to write: the write-ahead log has room for all
// of them, and autovacuum stays away.
const POSTGRES_SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  wal_level: 'replica',
  shared_buffers: '256MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
  autovacuum: 'off',
};

/**
 * Starts the servers for these pairs.
 * @param {readonly import('./options.mjs').OwnPair[]} names
 * @param {Undo} undo
 * @returns {Promise<Pair[]>}
 */
export async function startPairs(names, undo) {
  const server = await startPostgres({ settings: POSTGRES_SETTINGS, database: 'source' });
  undo.add(() => server.remove());
  /** @type {Database} */
  const source = { dialect: 'postgres', uri: server.uri };
  /** @type {Record<import('./options.mjs').OwnPair, () => Promise<Database>>} */
  const targets = {
    'pg-pg': async () => ({ dialect: 'postgres', uri: await server.createDatabase('target') }),
    'pg-mongo': () => startMongoTarget(undo),
    'pg-mariadb': () => startMariadbTarget(undo),
    'pg-sqlite': () => makeSqliteTarget(undo),
  };
  const pairs = [];
  for (const name of names) pairs.push({ name, source, origin: source, target: await targets[name]() });
  return pairs;
}

/**
 * Takes the databases of the user.
 * @param {{source: string, target: string}} uris
 * @param {Undo} undo
 * @returns {Promise<Pair>}
 * @throws {UsageError} when a database has the table already, or both are the same
 */
export async function takePair(uris, undo) {
  const ends = { source: databaseOf(uris.source), target: databaseOf(uris.target) };
  refuseSameDatabase(ends.source, [ends.target]);
  const source = plain(ends.source);
  const target = plain(ends.target);
  for (const [database, { label }] of /** @type {const} */ ([[source, ends.source], [target, ends.target]])) {
    if (await hasTable(database)) throw new UsageError(`${label} exists or has a table ${TABLE} already; the benchmark would overwrite it`);
    undo.add(() => removeTable(database));
  }
  return { name: `${source.dialect}-${target.dialect}`, source, target, origin: await originOf(source, undo) };
}

/** @param {import('../../examples/demo/database-uri.mjs').Database} database */
function plain({ dialect, uri, file }) {
  return { dialect, uri: file ?? uri };
}

/**
 * @param {Database} source
 * @param {Undo} undo
 * @returns {Promise<Database>}
 */
async function originOf(source, undo) {
  if (source.dialect === 'postgres') return source;
  const server = await startPostgres({ settings: POSTGRES_SETTINGS });
  undo.add(() => server.remove());
  return { dialect: 'postgres', uri: server.uri };
}

/**
 * @param {Undo} undo
 * @returns {Promise<Database>}
 */
async function startMongoTarget(undo) {
  // A server that was running before, named by MONGODB_URI, may hold databases of any name.
  const database = `replicaverse_bench_${randomBytes(6).toString('hex')}`;
  const server = await startMongo({ database });
  undo.add(async () => {
    await server.command({ dropDatabase: 1 }, database);
    await server.remove();
  });
  return { dialect: 'mongodb', uri: uriOfDatabase(server.uri, database) };
}

/**
 * As durable as out of the box, too; nobody reads a binlog.
 * @param {Undo} undo
 * @returns {Promise<Database>}
 */
async function startMariadbTarget(undo) {
  const settings = { 'innodb-flush-log-at-trx-commit': 1, 'innodb-buffer-pool-size': '256M', 'innodb-log-file-size': '512M' };
  const server = await startMariadb({ binlog: false, settings });
  undo.add(() => server.remove());
  return { dialect: 'mariadb', uri: server.uri };
}

/**
 * @param {Undo} undo
 * @returns {Promise<Database>}
 */
async function makeSqliteTarget(undo) {
  const folder = path.join(tmpdir(), `replicaverse-${randomBytes(6).toString('hex')}`);
  // Registered before it exists, so that it never exists unregistered.
  guardian().addPath(folder);
  await mkdir(folder, { mode: 0o700 });
  undo.add(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    guardian().removePath(folder);
  });
  return { dialect: 'sqlite', uri: path.join(folder, 'target.sqlite') };
}
