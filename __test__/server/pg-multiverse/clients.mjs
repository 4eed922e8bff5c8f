// A PgMultiverse and a client of node-postgres on the same server, and their results in a form that can be compared.
import pg from 'pg';
import { PgMultiverse } from 'replicaverse/pg-multiverse';

/**
 * The address of a server, as both take it.
 *
 * @param {string} uri
 */
export function addressOf(uri) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  return { host: hostname, port: Number(port), database: decodeURIComponent(pathname.slice(1)), user: username, password: decodeURIComponent(password) };
}

/** Both clients. */
export class Clients {
  /**
   * @param {string} uri
   * @param {import('replicaverse/pg-multiverse').MultiClusterConfig} [config]
   */
  static async open(uri, config) {
    const ours = new PgMultiverse(config);
    await ours.initialize({ main: { schemas: ['public'], primary: addressOf(uri) } });
    const peer = new pg.Client(addressOf(uri));
    await peer.connect();
    return new Clients(ours, await ours.getConnection(), peer);
  }

  /**
   * @param {PgMultiverse} ours
   * @param {import('replicaverse/pg-multiverse').PooledClient} pinned
   * @param {pg.Client} peer
   */
  constructor(ours, pinned, peer) {
    this.ours = ours;
    this.pinned = pinned;
    this.peer = peer;
  }

  async close() {
    this.pinned.release();
    await Promise.all([this.ours.close(), this.peer.end()]);
  }

  /**
   * Sets a setting of both sessions.
   *
   * @param {string} name
   * @param {string} value
   */
  async set(name, value) {
    const values = [name, value];
    await this.peer.query('SELECT set_config($1, $2, false)', values);
    await this.pinned.query('SELECT set_config($1, $2, false)', values);
  }

  /**
   * What node-postgres makes of a statement, and what we make of it the first time and later, when it is prepared.
   *
   * @param {string | import('replicaverse/pg-multiverse').QueryConfig} query
   * @param {unknown[]} [values]
   */
  async outcomes(query, values) {
    const theirs = await outcome(() => this.peer.query(/** @type {never} */ (query), /** @type {never} */ (values)));
    const first = await outcome(() => this.pinned.query(query, values));
    const later = await outcome(() => this.pinned.query(query, values));
    return { theirs, first, later };
  }
}

/**
 * The result or error of a query, without what only one of the clients has.
 *
 * @param {() => Promise<unknown>} run
 */
async function outcome(run) {
  try {
    const result = /** @type {any} */ (await run());
    return Array.isArray(result) ? { results: result.map(plainResult) } : { result: plainResult(result) };
  } catch (error) {
    return { error: plainError(/** @type {any} */ (error)) };
  }
}

/** @param {any} result */
function plainResult({ command, rowCount, oid, rows, fields }) {
  const plainRows = rows.map((/** @type {any} */ row) => (Array.isArray(row) ? row.map(plainValue) : Object.entries(row).map(([name, value]) => [name, plainValue(value)])));
  return { command, rowCount, oid, rows: plainRows, fields: fields.map((/** @type {object} */ field) => ({ ...field })) };
}

/** @param {any} error */
function plainError(error) {
  return { ...error, message: error.message };
}

/**
 * `deepStrictEqual` of Node.js 20 finds an invalid date different from itself.
 *
 * @param {any} value
 * @returns {any}
 */
function plainValue(value) {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid date' : value;
  return Array.isArray(value) ? value.map(plainValue) : value;
}
