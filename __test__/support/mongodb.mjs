// A real mongod for tests and the demo: a replica set of one node, or a standalone server.
import { MongoClient } from 'mongodb';
import { requireServer } from '../../scripts/servers/index.mjs';
import { eventually } from './eventually.mjs';
import { createDataFolder, createServerFolder } from './server-folder.mjs';
import { ServerOnPort } from './server-on-port.mjs';

/**
 * @typedef {object} MongoOptions
 * @property {boolean} [replicaSet] true by default; false gives a standalone server, without transactions and
 *   change streams
 * @property {string} [database] that the URI leads to; `app` by default
 */

/** @typedef {import('mongodb').Document} Document */

const REPLICA_SET = 'rs0';
const TIMEOUTS = 'serverSelectionTimeoutMS=5000';
const STOP_GRACE_MS = 15_000;

/**
 * Starts a mongod of its own and waits for its primary. With MONGODB_URI in the environment it gives
 * that server instead, which cannot be stopped from here.
 * @param {MongoOptions} [options]
 * @returns {Promise<MongoServer | RunningMongo>}
 * @throws {Error} when mongod is missing, or does not start: then with the last lines of its log
 */
export async function startMongo({ replicaSet = true, database = 'app' } = {}) {
  const found = await requireServer('mongodb');
  if (found.mongod === undefined) return new RunningMongo(found.uri ?? '', database);
  const folder = await createServerFolder(undefined);
  const server = new MongoServer({ program: found.mongod, folder, replicaSet, database });
  try {
    await createDataFolder(folder, undefined);
    await server.start();
    return server;
  } catch (error) {
    await server.remove();
    throw error;
  }
}

/**
 * Starts a further member of a replica set, which is never elected, and waits until it is a secondary.
 * @param {MongoServer} primary
 * @returns {Promise<MongoServer>}
 */
export async function startMongoSecondary(primary) {
  const { mongod } = await requireServer('mongodb');
  if (mongod === undefined) throw new Error('a secondary needs a mongod of its own; MONGODB_URI names a server that is running');
  const folder = await createServerFolder(undefined);
  const server = new MongoServer({ program: mongod, folder, replicaSet: true, database: primary.database, secondary: true });
  try {
    await createDataFolder(folder, undefined);
    await server.start();
    const { config } = await primary.command({ replSetGetConfig: 1 });
    const member = { _id: config.members.length, host: `127.0.0.1:${server.port}`, priority: 0, votes: 0 };
    await primary.command({ replSetReconfig: { ...config, version: config.version + 1, members: [...config.members, member] } });
    await eventually(async () => (await server.command({ hello: 1 })).secondary === true, { deadlineMs: 30_000, what: 'a secondary' });
    return server;
  } catch (error) {
    await server.remove();
    throw error;
  }
}

/** A mongod that belongs to this process. */
export class MongoServer extends ServerOnPort {
  #replicaSet;
  #secondary;
  #initiated = false;

  /** @param {{program: string, folder: import('./server-folder.mjs').ServerFolder, replicaSet: boolean, database: string, secondary?: boolean}} options */
  constructor({ program, folder, replicaSet, database, secondary = false }) {
    super({
      name: 'mongod',
      folder,
      account: undefined,
      endSignal: 'SIGKILL',
      command: (port) => ({ program, args: arguments_(folder.data, port, replicaSet) }),
      isReady: (port) => answers(directUri(port, database)),
    });
    this.#replicaSet = replicaSet;
    this.#secondary = secondary;
    this.database = database;
  }

  /** The URI for applications; of the replica set, if it is one. */
  get uri() {
    if (!this.#replicaSet) return this.directUri;
    return `mongodb://127.0.0.1:${this.port}/${this.database}?replicaSet=${REPLICA_SET}&${TIMEOUTS}`;
  }

  /** The URI of this one node. */
  get directUri() {
    return directUri(this.port, this.database);
  }

  /**
   * Runs a database command on this node.
   * @param {Document} document
   * @param {string} [database] `admin` by default
   * @returns {Promise<Document>}
   */
  command(document, database = 'admin') {
    return runCommand(this.directUri, document, database);
  }

  /**
   * Starts the server and waits until it accepts writes.
   * @returns {Promise<void>}
   * @throws {Error} with the last lines of the log when it does not start
   */
  async start() {
    await super.start();
    if (!this.#replicaSet || this.#secondary) return;
    if (!this.#initiated) await this.#initiate();
    await eventually(async () => (await this.command({ hello: 1 })).isWritablePrimary === true, {
      deadlineMs: 30_000,
      what: 'the election of the primary',
    });
  }

  /**
   * Stops the server in order; its data stay.
   * @returns {Promise<void>}
   */
  async stop() {
    await this.end('SIGINT', STOP_GRACE_MS);
  }

  async #initiate() {
    const members = [{ _id: 0, host: `127.0.0.1:${this.port}` }];
    // A single node need not wait the usual ten seconds before it elects itself again after a restart.
    const settings = { electionTimeoutMillis: 1_000 };
    await this.command({ replSetInitiate: { _id: REPLICA_SET, members, settings } });
    this.#initiated = true;
  }
}

/** A server that was running before, named by MONGODB_URI. Its life is not ours. */
export class RunningMongo {
  /**
   * @param {string} uri may name several hosts
   * @param {string} database used when the URI names none
   */
  constructor(uri, database) {
    const [, hosts = '', named = '', query = ''] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?([^?]*)(.*)$/.exec(uri) ?? [];
    if (hosts === '') throw new Error('MONGODB_URI does not begin with mongodb:// or mongodb+srv://');
    this.database = named === '' ? database : named;
    this.uri = `${hosts}/${this.database}${query}`;
    this.directUri = this.uri;
    this.port = Number(/:(\d+)(?:,|$)/.exec(hosts)?.[1] ?? 27_017);
  }

  /**
   * Runs a database command.
   * @param {Document} document
   * @param {string} [database] `admin` by default
   * @returns {Promise<Document>}
   */
  command(document, database = 'admin') {
    return runCommand(this.uri, document, database);
  }

  /** Leaves the server as it is. */
  async stop() {}

  /** Leaves the server as it is. */
  async remove() {}

  /** @returns {Promise<void>} always rejected */
  async start() {
    throw new ForeignServerError('started');
  }

  /** @returns {Promise<void>} always rejected */
  async kill() {
    throw new ForeignServerError('killed');
  }

  /** @throws {ForeignServerError} always */
  pause() {
    throw new ForeignServerError('paused');
  }

  /** @throws {ForeignServerError} always */
  resume() {
    throw new ForeignServerError('resumed');
  }
}

/** A test wants to control a server that was running before. */
class ForeignServerError extends Error {
  name = 'ForeignServerError';

  /** @param {string} deed */
  constructor(deed) {
    super(`the server named by MONGODB_URI cannot be ${deed} from here; set MONGOD_BINARY instead of MONGODB_URI`);
  }
}

/**
 * @param {string} data
 * @param {number} port
 * @param {boolean} replicaSet
 */
function arguments_(data, port, replicaSet) {
  const flags = ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'];
  flags.push('--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'enableTestCommands=1');
  return replicaSet ? [...flags, '--replSet', REPLICA_SET, '--oplogSize', '64'] : flags;
}

/**
 * @param {number} port
 * @param {string} database
 */
function directUri(port, database) {
  return `mongodb://127.0.0.1:${port}/${database}?directConnection=true&${TIMEOUTS}`;
}

/**
 * @param {string} uri
 * @returns {Promise<boolean>}
 */
async function answers(uri) {
  return runCommand(`${uri.replace(TIMEOUTS, 'serverSelectionTimeoutMS=100')}`, { ping: 1 }, 'admin').then(() => true, () => false);
}

/**
 * @param {string} uri
 * @param {Document} document
 * @param {string} database
 * @returns {Promise<Document>}
 */
async function runCommand(uri, document, database) {
  const client = new MongoClient(uri);
  try {
    return await client.db(database).command(document);
  } finally {
    await client.close();
  }
}
