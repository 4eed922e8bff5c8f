// One failover under load: what was acknowledged is there, every promise settles, and the pools are healthy afterwards.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually } from '../support/eventually.mjs';
import { Random } from './random.mjs';

/**
 * @typedef {object} FailoverReport
 * @property {string} kind what was done to the leader
 * @property {number} acknowledged writes
 * @property {number} uncertain writes that failed, of which nobody knows whether they were carried out
 * @property {number} movedMs milliseconds from the end of the promotion to the first write that was acknowledged
 */

const TABLE = 'CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY)';
const DEADLINE = { deadlineMs: 60_000 };

/**
 * @param {{ seed: number, pair: import('../support/postgres-pair.mjs').PostgresPair }} options
 * @returns {Promise<FailoverReport>}
 */
export async function runFailover({ seed, pair }) {
  const random = new Random(seed);
  await pair.leader.psql(TABLE);
  await pair.protect();
  const load = new Load(seed, await connect(pair));
  try {
    load.start(2 + random.below(4));
    await eventually(() => load.acknowledged.size > 20, DEADLINE);
    await delay(random.below(500));
    const how = random.pick(/** @type {const} */ (['kill', 'stop']));
    const returns = random.chance(0.5);
    await pair.failOver(how);
    const promoted = performance.now();
    const before = load.acknowledged.size;
    await eventually(() => load.acknowledged.size > before, { ...DEADLINE, intervalMs: 1, what: 'a write on the new leader' });
    const movedMs = performance.now() - promoted;
    if (returns) await returnForAWhile(pair, load);
    await eventually(() => load.acknowledged.size > before + 50, { ...DEADLINE, what: 'writes on the new leader' });
    await load.end();
    await pair.rejoin();
    await checkRows(pair, load);
    await checkHealth(load.db);
    assert.deepEqual(load.failedReads, [], 'reads went on over the other server');
    assert.deepEqual(load.unexpected, [], 'writes fail only by what became of their server');
    return { kind: returns ? `${how}, came back` : how, acknowledged: load.acknowledged.size, uncertain: load.uncertain.size, movedMs };
  } finally {
    load.isEnding = true;
    await load.db.close();
    await load.end();
  }
}

/** @param {import('../support/postgres-pair.mjs').PostgresPair} pair */
async function connect(pair) {
  const [first, second] = pair.servers.map(({ host, port, database, user, password }) => ({ host, port, database, user, password }));
  if (first === undefined || second === undefined) throw new Error('a pair has two servers');
  const db = new PgMultiverse({ cluster: { healthCheckInterval: 500, retryDelay: 50 } });
  // Whichever of the two leads now, the configuration stays the same.
  await db.initialize({ main: { schemas: ['public'], primary: first, replicas: [second], connectionPool: { min: 2, max: 6 } } });
  // Before its catalogue is known, no statement of a database is known to read only.
  await eventually(() => isReadFromStandby(db), { ...DEADLINE, what: 'reads from the server that follows' });
  return db;
}

/** @param {PgMultiverse} db */
async function isReadFromStandby(db) {
  return (await db.query('SELECT pg_is_in_recovery() AS standby')).rows[0].standby;
}

/**
 * The old leader starts as it was, and believes to be one. Its commits would wait for a follower for ever, so that a write that
 * went there would not settle.
 *
 * @param {import('../support/postgres-pair.mjs').PostgresPair} pair
 * @param {Load} load
 */
async function returnForAWhile(pair, load) {
  await pair.follower.start();
  const before = load.acknowledged.size;
  await eventually(() => load.acknowledged.size > before + 100, { ...DEADLINE, what: 'writes beside the old leader' });
  const misled = await pair.follower.psql("SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'INSERT INTO ledger%'");
  assert.equal(misled, '0', 'no write goes to the old leader');
}

/**
 * @param {import('../support/postgres-pair.mjs').PostgresPair} pair
 * @param {Load} load
 */
async function checkRows(pair, load) {
  const rows = new Set((await pair.leader.psql(`SELECT id FROM ledger WHERE id / 1000000 = ${load.seed}`)).split('\n').filter(Boolean).map(Number));
  const lost = [...load.acknowledged].filter((id) => !rows.has(id));
  assert.deepEqual(lost, [], 'every acknowledged write is there');
  const invented = [...rows].filter((id) => !load.acknowledged.has(id) && !load.uncertain.has(id));
  assert.deepEqual(invented, [], 'nothing else is there');
}

/** @param {PgMultiverse} db */
async function checkHealth(db) {
  await eventually(
    async () => {
      const { main } = await db.healthCheck();
      assert.equal(main?.healthy, true, main?.error);
      return true;
    },
    { ...DEADLINE, what: 'health' },
  );
  const figures = db.getMetrics().clusters['main'];
  assert.ok(figures !== undefined && figures.connections.active <= figures.connections.max);
  assert.match(db.metricsText(), /^replicaverse_pg_cluster_up\{cluster="main"\} 1$/m);
  await eventually(() => isReadFromStandby(db), { ...DEADLINE, what: 'reads from the server that follows' });
}

/** Writers, readers and transactions, until they are told to end. */
class Load {
  /** @type {Set<number>} */
  acknowledged = new Set();
  /** @type {Set<number>} */
  uncertain = new Set();
  /** @type {unknown[]} */
  failedReads = [];
  /** @type {unknown[]} */
  unexpected = [];
  isEnding = false;
  #ids;
  /** @type {Promise<void>[]} */
  #workers = [];

  /**
   * @param {number} seed
   * @param {PgMultiverse} db
   */
  constructor(seed, db) {
    this.seed = seed;
    this.db = db;
    this.#ids = seed * 1_000_000;
  }

  /** @param {number} writers */
  start(writers) {
    const work = [...Array.from({ length: writers }, () => () => this.#write((id) => this.#insert(id))), () => this.#write((id) => this.#insertInTransaction(id)), () => this.#read(), () => this.#read()];
    this.#workers = work.map((turn) => this.#repeat(turn));
  }

  /** Lets everything that is under way end. */
  async end() {
    this.isEnding = true;
    let isSettled = false;
    const all = Promise.all(this.#workers).then(() => (isSettled = true));
    await eventually(() => isSettled, { ...DEADLINE, what: 'the end of all that was under way' });
    await all;
  }

  /** @param {() => Promise<void>} turn */
  async #repeat(turn) {
    while (!this.isEnding) {
      await turn();
      await delay(2);
    }
  }

  /** @param {(id: number) => Promise<void>} insert */
  async #write(insert) {
    this.#ids += 1;
    const id = this.#ids;
    try {
      await insert(id);
      this.acknowledged.add(id);
    } catch (error) {
      const { code } = /** @type {{ code?: string }} */ (error);
      if (!/^(57P0\d|25006|08\d{3}|ERR_(CONNECTION|RELEASED))$/.test(code ?? '')) this.unexpected.push(error);
      this.uncertain.add(id);
    }
  }

  /** @param {number} id */
  async #insert(id) {
    await this.db.query('INSERT INTO ledger VALUES ($1)', [id]);
  }

  /** @param {number} id */
  async #insertInTransaction(id) {
    const client = await this.db.getConnection();
    let isSound = false;
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO ledger VALUES ($1)', [id]);
      await client.query('COMMIT');
      isSound = true;
    } finally {
      client.release(!isSound);
    }
  }

  async #read() {
    try {
      await this.db.query('SELECT count(*) FROM ledger');
    } catch (error) {
      this.failedReads.push(error);
    }
  }
}
