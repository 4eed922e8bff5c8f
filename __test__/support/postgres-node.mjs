// One PostgreSQL server of a cluster: its address, SQL on it, and its life from start to removal.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { runSql } from './postgres-session.mjs';
import { ServerOnPort } from './server-on-port.mjs';

/**
 * @typedef {object} PostgresIdentity
 * @property {string} bin PostgreSQL's programs
 * @property {import('./server-folder.mjs').ServerFolder} folder
 * @property {import('./account.mjs').Account | undefined} account
 * @property {string} password
 * @property {string} database
 * @property {string} [sslCa] file of the authority that signed the server's certificate
 */

const STOP_GRACE_MS = 10_000;

/** A PostgreSQL server. It keeps its port and its data over stops, kills and starts until it is removed. */
export class PostgresNode extends ServerOnPort {
  user = 'postgres';

  /** @param {PostgresIdentity} identity */
  constructor(identity) {
    const { bin, folder, account } = identity;
    super({
      name: 'PostgreSQL',
      folder,
      account,
      // An immediate shutdown: children end, and shared memory is released.
      endSignal: 'SIGQUIT',
      command: (port) => ({
        program: path.join(bin, 'postgres'),
        args: ['-D', folder.data, '-c', `port=${port}`, '-c', `unix_socket_directories=${folder.socket}`],
      }),
      isReady: (_port, pid) => isReady(folder.data, pid),
    });
    /** What a standby of this server shares with it. */
    this.identity = identity;
    /** PostgreSQL's programs. */
    this.bin = bin;
    /** The superuser's password. */
    this.password = identity.password;
    /** The database that `uri` leads to. */
    this.database = identity.database;
    /** The folder of the unix socket. */
    this.socketDir = folder.socket;
    /** The file of the authority that signed the server's certificate, with `ssl`. */
    this.sslCa = identity.sslCa;
  }

  /** The URI with password, over TCP. */
  get uri() {
    return this.uriOf(this.database);
  }

  /**
   * The URI of another database of this server.
   * @param {string} database
   * @returns {string}
   */
  uriOf(database) {
    return `postgresql://${this.user}:${encodeURIComponent(this.password)}@${this.host}:${this.port}/${encodeURIComponent(database)}`;
  }

  /**
   * Runs SQL as superuser, in a session of its own over the unix socket.
   * @param {string} sql one or more statements
   * @param {string} [database]
   * @returns {Promise<string>} like `psql -At`: a line per row, columns separated by `|`, NULL as nothing
   * @throws {Error} with `code` (SQLSTATE) when the server reports an error
   */
  psql(sql, database = this.database) {
    const socketPath = path.join(this.socketDir, `.s.PGSQL.${this.port}`);
    return runSql({ socketPath, user: this.user, password: this.password, database }, sql);
  }

  /**
   * Stops the server in order, ending its connections; its data stay. Standbys go on.
   * @returns {Promise<void>}
   */
  async stop() {
    await this.end('SIGINT', STOP_GRACE_MS);
  }
}

/**
 * The server writes its state into its pid file: the first line is its id, the eighth its state.
 * @param {string} dataFolder
 * @param {number} pid
 */
async function isReady(dataFolder, pid) {
  const lines = (await readFile(path.join(dataFolder, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return Number(lines[0]) === pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
}
