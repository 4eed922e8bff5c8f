// What this library is compared with, for each pair of databases.
import path from 'node:path';
import { findProgram } from '../../scripts/servers/command.mjs';
import { CREATE_TABLE, TABLE } from './dataset.mjs';
import { runGuarded } from './guarded-process.mjs';
import { insertReadyRows } from './peer-program.mjs';
import { executeSql } from './target.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

/**
 * @typedef {object} Peer
 * @property {string} name what it does, for the report
 * @property {(source: Database, target: Database) => Promise<number>} copy fills the target and gives the seconds
 */

// The passwords come by the environment: arguments are visible to every user of the machine.
const PIPE = `
PGPASSWORD="$SOURCE_PASSWORD" "$1" --no-psqlrc --quiet --dbname "$2" --command "$3" |
PGPASSWORD="$TARGET_PASSWORD" "$1" --no-psqlrc --quiet --dbname "$4" --command "$5"`;

/**
 * The peer for a pair of databases.
 * @param {Database} source
 * @param {Database} target
 * @returns {Peer | undefined} undefined where there is none
 */
export function peerOf(source, target) {
  if (target.dialect === 'mongodb') return { name: 'insert_many of ready documents, Rust driver', copy: insertReadyRows };
  if (target.dialect === 'mariadb') return { name: 'prepared multi-row INSERT of ready values, sqlx', copy: insertReadyRows };
  if (target.dialect === 'sqlite') return { name: 'prepared multi-row INSERT of ready values, rusqlite', copy: insertReadyRows };
  if (source.dialect === 'postgres') return { name: 'psql COPY into psql COPY', copy: pipePsql };
  return undefined;
}

/**
 * @param {Database} source
 * @param {Database} target
 * @returns {Promise<number>}
 */
async function pipePsql(source, target) {
  const own = process.env.PG_BIN ?? '';
  const psql = await findProgram(own === '' ? ['psql'] : [path.join(own, 'psql'), 'psql']);
  if (psql === undefined) throw new Error('the peer of this pair is psql, which is not installed');
  await executeSql(target.uri, CREATE_TABLE);
  const [from, into] = [withoutPassword(source.uri), withoutPassword(target.uri)];
  const env = { ...process.env, SOURCE_PASSWORD: from.password, TARGET_PASSWORD: into.password };
  const copyOut = `COPY (SELECT * FROM ${TABLE}) TO STDOUT`;
  const start = performance.now();
  await runGuarded('sh', ['-c', PIPE, 'sh', psql, from.uri, copyOut, into.uri, `COPY ${TABLE} FROM STDIN`], { env });
  return (performance.now() - start) / 1000;
}

/** @param {string} uri */
function withoutPassword(uri) {
  const [, before = '', password, after = ''] = /^(\w+:\/\/[^:@/?]*):([^@]*)(@.*)$/.exec(uri) ?? [];
  return password === undefined ? { uri, password: '' } : { uri: before + after, password: decodeURIComponent(password) };
}
