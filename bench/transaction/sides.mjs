// Transactions that write on two clusters: by PgMultiverse, and by hand on pinned connections of pg.
import pg from 'pg';

const UPDATE = 'UPDATE account SET amount = amount + $1 WHERE id = $2';
export const ACCOUNTS = 1000;

/**
 * @typedef {object} Side
 * @property {string} name
 * @property {(lane: number) => Promise<(account: number) => Promise<void>>} lane gives a function that carries out one transaction
 * @property {() => Promise<void>} close
 */

/**
 * @param {readonly string[]} uris
 * @returns {Promise<Side>}
 */
export async function ours(uris) {
  const { PgMultiverse } = await import('replicaverse');
  const db = new PgMultiverse();
  const [a, b] = uris.map(addressOf);
  if (a === undefined || b === undefined) throw new Error('two servers are needed');
  await db.initialize({ a: { schemas: ['a'], primary: a }, b: { schemas: ['b'], primary: b } });
  const transact = async (/** @type {number} */ account) => {
    await db.withTransaction(['a', 'b'], async (tx) => {
      await tx.query(UPDATE, [-1, account], { schema: 'a' });
      await tx.query(UPDATE, [1, account], { schema: 'b' });
    });
  };
  return { name: 'PgMultiverse', lane: () => Promise.resolve(transact), close: () => db.close() };
}

/**
 * @param {readonly string[]} uris
 * @returns {Side}
 */
export function byHand(uris) {
  /** @type {pg.Client[]} */
  const clients = [];
  let number = 0;
  const lane = async () => {
    const [a, b] = uris.map((uri) => new pg.Client({ connectionString: uri }));
    if (a === undefined || b === undefined) throw new Error('two servers are needed');
    const both = (/** @type {string} */ sql) => Promise.all([a.query(sql), b.query(sql)]);
    clients.push(a, b);
    await Promise.all([a.connect(), b.connect()]);
    return async (/** @type {number} */ account) => {
      number += 1;
      const name = `by hand ${number}`;
      await both('BEGIN');
      await a.query({ name: 'update', text: UPDATE, values: [-1, account] });
      await b.query({ name: 'update', text: UPDATE, values: [1, account] });
      await both(`PREPARE TRANSACTION '${name}'`);
      await both(`COMMIT PREPARED '${name}'`);
    };
  };
  const close = async () => {
    await Promise.all(clients.map((client) => client.end()));
  };
  return { name: 'by hand', lane, close };
}

/** @param {string} uri */
function addressOf(uri) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  return { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
}
