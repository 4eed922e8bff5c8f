// One failover, measured: the longest time between two successful reads, and between two successful writes.
import { setTimeout as delay } from 'node:timers/promises';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually } from '../../__test__/support/eventually.mjs';

/**
 * @typedef {object} Gaps milliseconds
 * @property {number} read without a successful read
 * @property {number} write without a successful write
 * @property {number} moved from the end of the promotion to the first successful write
 * @property {number} check that a health check of both servers takes, before anything happens
 */

/** Where reads go: to the standby alone, as by default, or to the primary alone. */
export const READERS = /** @type {const} */ (['replica', 'primary']);

/**
 * @param {import('../../__test__/support/postgres-pair.mjs').PostgresPair} pair
 * @param {typeof READERS[number]} readPreference
 * @returns {Promise<Gaps>}
 */
export async function measureFailover(pair, readPreference) {
  const address = (/** @type {typeof pair.leader} */ { host, port, database, user, password }) => ({ host, port, database, user, password });
  await pair.leader.psql('CREATE TABLE IF NOT EXISTS written (a int)');
  await pair.protect();
  const db = new PgMultiverse();
  await db.initialize({ main: { schemas: ['public'], readPreference, primary: address(pair.leader), replicas: [address(pair.follower)] } });
  const reads = new Successes(() => db.query('SELECT count(*) FROM written'));
  const writes = new Successes(() => db.query('INSERT INTO written VALUES (1)'));
  try {
    const check = await timeOfCheck(db);
    await eventually(() => reads.last > 0 && writes.last > 0, { deadlineMs: 30_000 });
    await delay(500);
    reads.longest = 0;
    writes.longest = 0;
    await pair.failOver('kill');
    const promoted = performance.now();
    await eventually(() => writes.last > promoted && reads.last > promoted, { deadlineMs: 60_000, intervalMs: 1 });
    const moved = (writes.firstAfter(promoted) ?? performance.now()) - promoted;
    await delay(500);
    return { read: reads.longest, write: writes.longest, moved, check };
  } finally {
    await Promise.all([reads.end(), writes.end()]);
    await db.close();
    await pair.rejoin();
  }
}

/** @param {PgMultiverse} db */
async function timeOfCheck(db) {
  const times = [];
  for (let turn = 0; turn < 21; turn += 1) {
    const begin = performance.now();
    await db.healthCheck();
    times.push(performance.now() - begin);
  }
  return times.sort((a, b) => a - b)[10] ?? 0;
}

/** Calls one after the other for as long as it goes, and when they succeeded. */
class Successes {
  last = 0;
  longest = 0;
  #isEnding = false;
  #running;
  /** @type {number[]} */
  #moments = [];

  /** @param {() => Promise<unknown>} call */
  constructor(call) {
    this.#running = this.#run(call);
  }

  /** @param {number} moment */
  firstAfter(moment) {
    return this.#moments.find((success) => success > moment);
  }

  async end() {
    this.#isEnding = true;
    await this.#running;
  }

  /** @param {() => Promise<unknown>} call */
  async #run(call) {
    while (!this.#isEnding) {
      // What fails in a failover is counted by the time in which nothing succeeds.
      const succeeded = await call().then(() => true, () => false);
      const now = performance.now();
      if (succeeded) {
        if (this.last > 0) this.longest = Math.max(this.longest, now - this.last);
        this.last = now;
        this.#moments.push(now);
      }
      await delay(1);
    }
  }
}
