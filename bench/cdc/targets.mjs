// The databases that changes are applied to, on servers of the benchmark's own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMariadb, startMongo } from '../../__test__/support/index.mjs';

/**
 * @typedef {object} BenchTarget
 * @property {import('./options.mjs').TargetDialect} dialect
 * @property {() => import('../snapshot/databases.mjs').Database} database
 * @property {() => Promise<void>} empty takes a new database
 */

/**
 * @param {import('./options.mjs').TargetDialect} dialect
 * @param {import('./subscription.mjs').Server} server for a target that is PostgreSQL
 * @param {import('../../examples/demo/undo.mjs').Undo} undo
 * @returns {Promise<BenchTarget>}
 */
export async function openTarget(dialect, server, undo) {
  let number = 0;
  const name = () => `target_${String(process.pid)}_${String(number)}`;
  let uri = '';
  const next = await uriOfNext(dialect, server, undo);
  return {
    dialect,
    database: () => ({ dialect, uri }),
    empty: async () => {
      number += 1;
      uri = await next(name());
    },
  };
}

/**
 * @param {import('./options.mjs').TargetDialect} dialect
 * @param {import('./subscription.mjs').Server} server
 * @param {import('../../examples/demo/undo.mjs').Undo} undo
 * @returns {Promise<(name: string) => Promise<string>>}
 */
async function uriOfNext(dialect, server, undo) {
  if (dialect === 'postgres') return (name) => server.createDatabase(name);
  if (dialect === 'sqlite') {
    const folder = await mkdtemp(join(tmpdir(), 'replicaverse-bench-'));
    undo.add(() => rm(folder, { recursive: true, force: true }));
    return (name) => Promise.resolve(join(folder, `${name}.db`));
  }
  const other = dialect === 'mongodb' ? await startMongo() : await startMariadb({ binlog: false, settings: { 'innodb-flush-log-at-trx-commit': 1 } });
  undo.add(() => other.remove());
  return async (name) => {
    if ('sql' in other) await other.sql(`CREATE DATABASE ${name}`);
    const uri = new URL(other.uri);
    uri.pathname = `/${name}`;
    return uri.href;
  };
}
