// Transactions that write on two clusters: by PgMultiverse, and by hand on pinned connections of pg.
import pg from 'pg';

const UPDATE = 'UPDATE account SET amount = amount + $1 WHERE id = $2';
export const ACCOUNTS = 1000;
/** Where the decisions by hand stand. */
export const DECISIONS = 'CREATE TABLE decision (id text PRIMARY KEY, participants text[] NOT NULL, decided_at timestamptz NOT NULL DEFAULT now())';
const DECIDE = 'INSERT INTO decision (id, participants) VALUES ($1, $2)';

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
 * The statements that PgMultiverse sends, in the order in which they have to follow each other.
 *
 * @param {readonly string[]} uris
 * @returns {Side}
 */
export function sameByHand(uris) {
  return byHandAs('the same by hand', uris, async (a, b, account, name) => {
    await both(a, b, 'BEGIN');
    await update(a, -1, account);
    await update(b, 1, account);
    await a.query({ name: 'decide', text: DECIDE, values: [name, ['b']] });
    await b.query(`PREPARE TRANSACTION '${name}'`);
    await a.query('COMMIT');
    await b.query(`COMMIT PREPARED '${name}'`);
  });
}

/**
 * The least that commits on both: nobody notes what was decided, so nobody could finish what a process that dies has left.
 *
 * @param {readonly string[]} uris
 * @returns {Side}
 */
export function withoutDecision(uris) {
  return byHandAs('by hand, no decision', uris, async (a, b, account, name) => {
    await both(a, b, 'BEGIN');
    await update(a, -1, account);
    await update(b, 1, account);
    await both(a, b, `PREPARE TRANSACTION '${name}'`);
    await both(a, b, `COMMIT PREPARED '${name}'`);
  });
}

/**
 * @param {string} side
 * @param {readonly string[]} uris
 * @param {(a: pg.Client, b: pg.Client, account: number, name: string) => Promise<unknown>} transact
 * @returns {Side}
 */
function byHandAs(side, uris, transact) {
  /** @type {pg.Client[]} */
  const clients = [];
  let number = 0;
  const lane = async () => {
    const [a, b] = uris.map((uri) => new pg.Client({ connectionString: uri }));
    if (a === undefined || b === undefined) throw new Error('two servers are needed');
    clients.push(a, b);
    await Promise.all([a.connect(), b.connect()]);
    return async (/** @type {number} */ account) => {
      number += 1;
      await transact(a, b, account, `${side} ${number}`);
    };
  };
  const close = async () => {
    await Promise.all(clients.map((client) => client.end()));
  };
  return { name: side, lane, close };
}

/**
 * @param {pg.Client} a
 * @param {pg.Client} b
 * @param {string} sql
 */
function both(a, b, sql) {
  return Promise.all([a.query(sql), b.query(sql)]);
}

/**
 * @param {pg.Client} client
 * @param {number} amount
 * @param {number} account
 */
function update(client, amount, account) {
  return client.query({ name: 'update', text: UPDATE, values: [amount, account] });
}

/** @param {string} uri */
function addressOf(uri) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  return { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
}
