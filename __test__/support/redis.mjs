// A real Redis server for tests, without persistence.
import { createConnection } from 'node:net';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { requireServer } from '../../scripts/servers/index.mjs';
import { createDataFolder, createServerFolder } from './server-folder.mjs';
import { ServerOnPort } from './server-on-port.mjs';

/**
 * @typedef {object} RedisOptions
 * @property {string} [password] none by default
 * @property {string[]} [settings] further lines of the configuration
 * @property {boolean} [isSentinel] whether it is a sentinel; `settings` then say what it watches
 */

const STOP_GRACE_MS = 5_000;

/**
 * Starts a Redis server of its own.
 * @param {RedisOptions} [options]
 * @returns {Promise<RedisNode>}
 * @throws {Error} when Redis is missing, or does not start: then with the last lines of its log
 */
export async function startRedis({ password, settings = [], isSentinel = false } = {}) {
  const { redisServer } = await requireServer('redis');
  const folder = await createServerFolder(undefined);
  const configuration = path.join(folder.root, 'redis.conf');
  const node = new RedisNode({ program: redisServer, folder, configuration, password, isSentinel });
  try {
    await createDataFolder(folder, undefined);
    // In a file, because a command line is visible to every user of the machine.
    const secret = password === undefined ? '' : `requirepass ${JSON.stringify(password)}\n`;
    const own = isSentinel ? [] : ['save ""', 'appendonly no'];
    const lines = ['bind 127.0.0.1', ...own, `dir ${folder.data}`, ...settings, secret];
    await writeFile(configuration, lines.join('\n'), { mode: 0o600 });
    await node.start();
    return node;
  } catch (error) {
    await node.remove();
    throw error;
  }
}

/** A Redis server. Its data are gone after a stop. */
export class RedisNode extends ServerOnPort {
  /** @param {{program: string, folder: import('./server-folder.mjs').ServerFolder, configuration: string, password?: string, isSentinel?: boolean}} identity */
  constructor({ program, folder, configuration, password, isSentinel }) {
    super({
      name: 'Redis',
      folder,
      account: undefined,
      endSignal: 'SIGKILL',
      command: (port) => ({ program, args: [configuration, ...(isSentinel === true ? ['--sentinel'] : []), '--port', String(port)] }),
      isReady: (port) => (isSentinel === true ? answersPing(port) : request(port, authenticated(password, 'PING')).then((reply) => reply.includes('PONG'), () => false)),
    });
    /** The password, if there is one. */
    this.password = password;
  }

  /** The URI, with the password if there is one. */
  get uri() {
    const secret = this.password === undefined ? '' : `:${encodeURIComponent(this.password)}@`;
    return `redis://${secret}${this.host}:${this.port}`;
  }

  /**
   * Runs one inline command.
   * @param {string} command such as `SET key value`
   * @returns {Promise<string>} the reply as the protocol writes it
   */
  command(command) {
    return request(this.port, authenticated(this.password, command));
  }

  /**
   * Stops the server.
   * @returns {Promise<void>}
   */
  async stop() {
    await this.end('SIGTERM', STOP_GRACE_MS);
  }
}

/**
 * @param {string | undefined} password
 * @param {string} command
 * @returns {string[]}
 */
function authenticated(password, command) {
  return password === undefined ? [command] : [`AUTH ${JSON.stringify(password)}`, command];
}

/**
 * Sends inline commands and gives the reply to the last one.
 * @param {number} port
 * @param {readonly string[]} commands
 * @returns {Promise<string>}
 */
function request(port, commands) {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 5_000 });
    let reply = '';
    socket.setEncoding('utf8');
    // QUIT makes the server close the connection after its replies.
    socket.on('connect', () => socket.write(`${[...commands, 'QUIT'].join('\r\n')}\r\n`));
    socket.on('data', (/** @type {unknown} */ text) => (reply += String(text)));
    socket.on('timeout', () => socket.destroy(new Error('Redis did not answer')));
    socket.on('error', reject);
    socket.on('close', () => {
      const body = reply.replace(/\+OK\r\n$/, '');
      resolve((commands.length > 1 ? body.replace(/^\+OK\r\n/, '') : body).trim());
    });
  });
}

/**
 * Whether a server answers. A sentinel does not end a connection by itself.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function answersPing(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 5_000 });
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (/** @type {unknown} */ text) => {
      resolve(String(text).includes('PONG'));
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}
