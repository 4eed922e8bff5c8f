// The databases of the benchmark, with both sides connected to each.
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { EntityService, createIsolatedDialect } from 'replicaverse';
import { guardian } from '../../__test__/support/guardian.mjs';
import { startMongo, startPostgres } from '../../__test__/support/index.mjs';
import { PERSON, ROWS, person } from './people.mjs';
import { betterSqlite, mongodbDriver, nodePostgres } from './peers/drivers.mjs';

/** @typedef {import('../../examples/demo/undo.mjs').Undo} Undo */
/** @typedef {import('./peers/drivers.mjs').Side} Side */

/** Connections of each side, which is the default of this library. */
const CONNECTIONS = 20;

/**
 * @param {import('./options.mjs').Dialect} dialect
 * @param {Undo} undo
 * @returns {Promise<{ours: Side, peer: Side}>}
 */
export async function openSides(dialect, undo) {
  const uri = await START[dialect](undo);
  const ours = await library(dialect, uri);
  undo.add(() => ours.close());
  const peer = await PEERS[dialect](uri);
  undo.add(() => peer.close());
  return { ours, peer };
}

/** @type {Record<import('./options.mjs').Dialect, (undo: Undo) => Promise<string>>} */
const START = {
  sqlite: makeFile,
  postgres: async (undo) => {
    const server = await startPostgres({ settings: { fsync: 'on', full_page_writes: 'on', shared_buffers: '256MB', autovacuum: 'off' } });
    undo.add(() => server.remove());
    return server.uri;
  },
  mongodb: async (undo) => {
    const server = await startMongo({ database: 'bench' });
    undo.add(() => server.remove());
    return server.uri;
  },
};

/** @type {Record<import('./options.mjs').Dialect, (uri: string) => Side | Promise<Side>>} */
const PEERS = {
  sqlite: betterSqlite,
  postgres: (uri) => nodePostgres(uri, CONNECTIONS),
  mongodb: (uri) => mongodbDriver(uri, CONNECTIONS),
};

/**
 * @param {import('./options.mjs').Dialect} dialect
 * @param {string} uri
 * @returns {Promise<Side>}
 */
async function library(dialect, uri) {
  const connection = await createIsolatedDialect({ dialect, uri, poolSize: CONNECTIONS }, [PERSON]);
  const service = new EntityService(connection, [PERSON]);
  await connection.$transaction(async (tx) => {
    for (let number = 0; number < ROWS; number += 1) await tx.create(PERSON, person(number));
  });
  return {
    name: 'replicaverse',
    findById: (id) => service.findById(PERSON.name, id),
    create: (row) => service.create(PERSON.name, row),
    findAll: () => service.findAll(PERSON.name, {}, { limit: ROWS }),
    close: () => connection.disconnect(),
  };
}

/** @param {Undo} undo */
async function makeFile(undo) {
  const folder = path.join(tmpdir(), `replicaverse-${randomBytes(6).toString('hex')}`);
  // Registered before it exists, so that it never exists unregistered.
  guardian().addPath(folder);
  await mkdir(folder, { mode: 0o700 });
  undo.add(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    guardian().removePath(folder);
  });
  return path.join(folder, 'people.sqlite');
}
