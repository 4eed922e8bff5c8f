// A real MariaDB server for tests, with a row binlog.
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createConnection } from 'node:net';
import { run } from '../../scripts/servers/command.mjs';
import { requireServer } from '../../scripts/servers/index.mjs';
import { handOverFile, unprivilegedAccount } from './account.mjs';
import { copyTemplate } from './mariadb-data.mjs';
import { createServerFolder } from './server-folder.mjs';
import { ServerOnPort } from './server-on-port.mjs';
import { serverEnvironment } from './server-process.mjs';

/**
 * @typedef {object} MariadbOptions
 * @property {boolean} [binlog] a row binlog with global transaction ids; on by default
 * @property {string} [database] made at the start; `app` by default
 * @property {string} [password] of the account `root`; random by default
 * @property {Record<string, string | number>} [settings] server options, without the leading dashes
 */

const DEFAULT_SETTINGS = {
  'innodb-buffer-pool-size': '32M',
  'innodb-log-file-size': '16M',
  // Written at each commit, though not forced to disk: a killed server loses nothing.
  'innodb-flush-log-at-trx-commit': 2,
  'performance-schema': 'OFF',
  'character-set-server': 'utf8mb4',
  'collation-server': 'utf8mb4_unicode_ci',
  'default-time-zone': '+00:00',
};

const BINLOG_SETTINGS = {
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'gtid-strict-mode': 'ON',
  'log-slave-updates': 'ON',
  'sync-binlog': 0,
};

const STOP_GRACE_MS = 15_000;

/**
 * Starts a MariaDB server of its own.
 * @param {MariadbOptions} [options]
 * @returns {Promise<MariadbNode>}
 * @throws {Error} when MariaDB is missing, or does not start: then with the last lines of its log
 */
export async function startMariadb(options = {}) {
  const { binlog = true, database = 'app', settings = {} } = options;
  const password = options.password ?? randomBytes(12).toString('hex');
  const server = await requireServer('mariadb');
  const account = await unprivilegedAccount(['mysql']);
  const folder = await createServerFolder(account);
  const initFile = path.join(folder.socket, 'init.sql');
  const all = { ...DEFAULT_SETTINGS, ...(binlog ? BINLOG_SETTINGS : {}), ...settings };
  const node = new MariadbNode({ server, folder, account, password, database, settings: all, initFile });
  try {
    await copyTemplate(server, folder, account);
    await writeFile(initFile, firstStatements(database, password), { mode: 0o600 });
    await handOverFile(initFile, account);
    await node.start();
    // Only the first start runs it; what it did is in the data folder.
    await rm(initFile);
    node.initialized = true;
    return node;
  } catch (error) {
    await node.remove();
    throw error;
  }
}

/**
 * @typedef {object} MariadbIdentity
 * @property {import('../../scripts/servers/mariadb.mjs').MariadbServer} server
 * @property {import('./server-folder.mjs').ServerFolder} folder
 * @property {import('./account.mjs').Account | undefined} account
 * @property {string} password
 * @property {string} database
 * @property {Record<string, string | number>} settings
 * @property {string} initFile
 */

/** A MariaDB server. It keeps its port and its data over stops, kills and starts until it is removed. */
export class MariadbNode extends ServerOnPort {
  /** Whether the first start has made the account and the database. */
  initialized = false;
  user = 'root';
  #client;

  /** @param {MariadbIdentity} identity */
  constructor({ server, folder, account, password, database, settings, initFile }) {
    const socket = path.join(folder.socket, 'mariadb.sock');
    super({
      name: 'MariaDB',
      folder,
      account,
      endSignal: 'SIGKILL',
      command: (port) => ({
        program: server.mariadbd,
        args: [
          '--no-defaults',
          `--datadir=${folder.data}`,
          `--tmpdir=${folder.socket}`,
          `--socket=${socket}`,
          `--pid-file=${path.join(folder.socket, 'mariadb.pid')}`,
          '--bind-address=127.0.0.1',
          `--port=${port}`,
          // Ports differ between the servers of a machine, and so do these ids.
          `--server-id=${port}`,
          '--skip-name-resolve',
          ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
          ...(this.initialized ? [] : [`--init-file=${initFile}`]),
        ],
      }),
      // The server accepts connections only after it has run the file of first statements.
      isReady: (port) => greets(port),
    });
    this.#client = server.client;
    /** The unix socket. */
    this.socket = socket;
    /** The password of `user`. */
    this.password = password;
    /** The database that `uri` leads to. */
    this.database = database;
  }

  /** The URI with password, over TCP. */
  get uri() {
    return `mysql://${this.user}:${encodeURIComponent(this.password)}@${this.host}:${this.port}/${encodeURIComponent(this.database)}`;
  }

  /**
   * Runs SQL over the unix socket with MariaDB's own client.
   * @param {string} text one or more statements
   * @param {string} [database]
   * @returns {Promise<string>} a line per row, columns separated by tabs, NULL as `NULL`
   * @throws {Error} with the server's message
   */
  async sql(text, database = this.database) {
    const flags = ['--no-defaults', `--socket=${this.socket}`, `--user=${this.user}`, '--batch', '--skip-column-names'];
    const env = { ...serverEnvironment(), MYSQL_PWD: this.password };
    const outcome = await run(this.#client, [...flags, '--default-character-set=utf8mb4', database], { env, input: text });
    if (outcome.code !== 0) throw new Error(outcome.stderr.trim());
    return outcome.stdout.trimEnd();
  }

  /**
   * Stops the server in order; its data stay.
   * @returns {Promise<void>}
   */
  async stop() {
    await this.end('SIGTERM', STOP_GRACE_MS);
  }
}

/**
 * One account for everybody who knows the password, and a database; none of it in the binlog.
 * @param {string} database
 * @param {string} password
 */
function firstStatements(database, password) {
  // The file holds one statement per line.
  const secret = `'${password.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`;
  const statements = [
    'SET SESSION sql_log_bin = 0',
    "DELETE FROM mysql.global_priv WHERE NOT (User = 'root' AND Host = 'localhost') AND User NOT IN ('mariadb.sys', 'PUBLIC')",
    'FLUSH PRIVILEGES',
    `ALTER USER root@localhost IDENTIFIED BY ${secret}`,
    `CREATE USER root@'%' IDENTIFIED BY ${secret}`,
    "GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION",
    `CREATE DATABASE IF NOT EXISTS \`${database.replaceAll('`', '``')}\``,
  ];
  return `${statements.join(';\n')};\n`;
}

/**
 * Whether the server sends its greeting, the first thing it does on a new connection.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function greets(port) {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1', timeout: 1_000 });
    socket.once('data', () => resolve(socket.destroy() !== undefined));
    for (const end of ['error', 'timeout', 'close']) socket.once(end, () => resolve(!socket.destroy()));
  });
}
