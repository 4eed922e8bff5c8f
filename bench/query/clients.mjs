// The clients that are compared, each with a pool of the same size, behind the same few calls.
import pg from 'pg';
import postgres from 'postgres';
import { PgMultiverse } from '../../dist/pg-multiverse.mjs';

/**
 * @typedef {object} Client
 * @property {string} name
 * @property {(sql: string, values: readonly unknown[]) => Promise<{ length: number } & readonly unknown[]>} rows
 * @property {() => Promise<void>} close
 */

/** The names of all clients; ours is the first, the one it is compared to above all the second. */
export const CLIENTS = /** @type {const} */ (['replicaverse', 'pg', 'pg, named', 'postgres']);

/**
 * @param {typeof CLIENTS[number]} name
 * @param {string} uri
 * @param {number} connections
 * @returns {Promise<Client>}
 */
export async function openClient(name, uri, connections) {
  switch (name) {
    case 'replicaverse':
      return openOurs(uri, connections);
    case 'pg':
      return openPg(name, uri, connections, () => ({}));
    case 'pg, named': {
      /** @type {Map<string, string>} */
      const names = new Map();
      return openPg(name, uri, connections, (sql) => {
        const known = names.get(sql) ?? `s${names.size}`;
        names.set(sql, known);
        return { name: known };
      });
    }
    case 'postgres':
      return openPostgres(uri, connections);
  }
}

/**
 * @param {string} uri
 * @param {number} connections
 * @returns {Promise<Client>}
 */
async function openOurs(uri, connections) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  const primary = { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
  const db = new PgMultiverse();
  await db.initialize({ main: { schemas: ['public'], primary, connectionPool: { min: connections, max: connections } } });
  return { name: 'replicaverse', rows: async (sql, values) => (await db.query(sql, values)).rows, close: () => db.close() };
}

/**
 * @param {string} name
 * @param {string} uri
 * @param {number} connections
 * @param {(sql: string) => object} more what the query says besides its text and values
 * @returns {Promise<Client>}
 */
async function openPg(name, uri, connections, more) {
  const pool = new pg.Pool({ connectionString: uri, max: connections, idleTimeoutMillis: 0 });
  return {
    name,
    rows: async (sql, values) => (await pool.query({ text: sql, values: [...values], ...more(sql) })).rows,
    close: () => pool.end(),
  };
}

/**
 * @param {string} uri
 * @param {number} connections
 * @returns {Promise<Client>}
 */
async function openPostgres(uri, connections) {
  const sql = postgres(uri, { max: connections, onnotice: () => undefined });
  // `prepare` makes it use prepared statements, as its tagged templates do.
  return { name: 'postgres', rows: (text, values) => sql.unsafe(text, /** @type {never} */ ([...values]), { prepare: true }), close: () => sql.end() };
}
