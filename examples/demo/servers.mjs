// The demo's own servers: a PostgreSQL as source, a MongoDB where there is one, and a file for SQLite.
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { guardian } from '../../__test__/support/guardian.mjs';
import { RunningMongo, startMongo } from '../../__test__/support/mongodb.mjs';
import { startPostgres } from '../../__test__/support/postgres.mjs';

/** @typedef {import('./replicate.mjs').End} End */
/** @typedef {import('./undo.mjs').Undo} Undo */

/**
 * Starts what the demo needs. All of it goes when `undo` runs, or when this process is gone.
 * @param {Undo} undo
 * @param {NodeJS.ProcessEnv} [env] MONGOD_BINARY or MONGODB_URI says that there is a MongoDB
 * @returns {Promise<{source: End, targets: End[]}>}
 * @throws {Error} when a server does not start
 */
export async function startServers(undo, env = process.env) {
  const hasMongo = [env.MONGOD_BINARY, env.MONGODB_URI].some((value) => (value ?? '') !== '');
  // All are awaited, so that what starts beside one that fails is known and can be stopped.
  const starts = [startSource(undo), ...(hasMongo ? [startMongoTarget(undo)] : []), makeSqliteTarget(undo)];
  const outcomes = await Promise.allSettled(starts);
  const [source, ...targets] = outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
  if (source === undefined) throw new Error('the demo has no source');
  return { source, targets };
}

/**
 * @param {Undo} undo
 * @returns {Promise<End>}
 */
async function startSource(undo) {
  const server = await startPostgres({ database: 'demo' });
  undo.add(() => server.remove());
  return { label: 'PostgreSQL', dialect: 'postgres', uri: server.uri };
}

/**
 * @param {Undo} undo
 * @returns {Promise<End>}
 */
async function startMongoTarget(undo) {
  // A server that was running before, named by MONGODB_URI, may hold databases of any name.
  const database = `replicaverse_demo_${randomBytes(6).toString('hex')}`;
  const server = await startMongo({ database });
  undo.add(() => server.remove());
  if (server instanceof RunningMongo) undo.add(() => server.command({ dropDatabase: 1 }, database));
  return { label: 'MongoDB', dialect: 'mongodb', uri: uriOfDatabase(server.uri, database) };
}

/**
 * The URI of another database of the server. The login stays at the database that the URI names for it.
 * @param {string} uri
 * @param {string} database
 * @returns {string}
 */
export function uriOfDatabase(uri, database) {
  const [, server = '', named = '', query = ''] = /^(\w[\w+]*:\/\/[^/?]+)\/?([^?]*)\??(.*)$/.exec(uri) ?? [];
  const options = new URLSearchParams(query);
  if (server.includes('@') && named !== '' && !options.has('authSource')) options.set('authSource', named);
  return `${server}/${database}${options.size === 0 ? '' : `?${options.toString()}`}`;
}

/**
 * @param {Undo} undo
 * @returns {Promise<End>}
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
  return { label: 'SQLite', dialect: 'sqlite', uri: path.join(folder, 'demo.sqlite') };
}
