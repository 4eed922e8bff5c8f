// One seed of the soak: a random workload, and SIGKILL for the replicating process, the source and the target at random
// moments. Afterwards source and target must be equal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/index.mjs';
import { firstOverlap } from './audit.mjs';
import { Random } from './random.mjs';
import { firstDifference } from './rows.mjs';

const REPLICATOR = fileURLToPath(new URL('replicator-process.mjs', import.meta.url));
const SETTLE_MS = 60_000;
const LONGEST_WAIT_MS = 8_000;

/**
 * @typedef {object} SeedReport
 * @property {number} seed
 * @property {number} committed transactions
 * @property {string[]} kills what was killed, in order
 * @property {number} batches that were applied, as the target recorded them
 */

/** The process that replicates, started again whenever it was killed. */
class Replicator {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #log = '';
  #batches = 0;

  /** @param {() => import('./replicator-process.mjs').Ends} ends */
  constructor(ends) {
    this.ends = ends;
  }

  start() {
    const child = spawn(process.execPath, [REPLICATOR, JSON.stringify(this.ends())], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (/** @type {Buffer} */ dots) => {
      this.#batches += dots.length;
    });
    child.stderr.on('data', (/** @type {Buffer} */ text) => {
      this.#log = (this.#log + text.toString()).slice(-4000);
    });
    this.#child = child;
  }

  async kill() {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Waits until something has been applied since now; a server that is down, or a lease that has not run out, may keep it from that. */
  async applied() {
    const before = this.#batches;
    await eventually(() => this.#batches > before, { deadlineMs: LONGEST_WAIT_MS }).catch(() => undefined);
  }

  /** What it said last. */
  get log() {
    return this.#log;
  }

  get hasEnded() {
    return this.#child?.exitCode !== null;
  }
}

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {import('./sources.mjs').Source} options.source
 * @param {import('./targets.mjs').Target} options.target
 * @param {number} [options.pauseMs] the longest time between a batch that was applied and the next kill
 * @param {number} [options.kills]
 * @returns {Promise<SeedReport>}
 * @throws {Error} when source and target differ in the end, naming the first difference, or when something was applied twice
 */
export async function runSeed({ seed, source, target, pauseMs = 500, kills = 4 }) {
  const random = new Random(seed);
  const database = `soak_${String(process.pid)}_${String(seed)}`;
  await source.create(database);
  await target.reset();
  const own = { dialect: source.dialect, collections: source.tables };
  const replicator = new Replicator(() => ({ source: { ...own, uri: source.uri(database) }, target: target.config() }));
  const writing = source.writing(database, new Random(random.below(2 ** 32)));
  const working = writing.run();
  const killed = [];
  let batches;
  try {
    replicator.start();
    await target.startAudit();
    for (let number = 0; number < kills; number += 1) {
      await replicator.applied();
      await delay(pauseMs * random.next());
      const victim = random.pick(target.kill ? ['process', 'process', 'source', 'target'] : ['process', 'process', 'source']);
      killed.push(victim);
      if (victim === 'target') await target.kill?.();
      if (victim === 'source') await source.kill();
      // A port may have changed, and a process may have met its own end.
      if (victim === 'process' || replicator.hasEnded) {
        await replicator.kill();
        replicator.start();
      }
    }
    await replicator.applied();
    writing.stop();
    await working;
    await settle(source, database, target, seed, killed, replicator);
    const ranges = await target.endAudit();
    const overlap = firstOverlap(ranges);
    if (overlap !== undefined) throw new Error(`seed ${String(seed)} (killed: ${killed.join(', ')}): ${overlap}`);
    batches = ranges.length;
  } finally {
    writing.stop();
    await working;
    await replicator.kill();
    await source.drop(database);
  }
  return { seed, committed: writing.committed, kills: killed, batches };
}

/**
 * Waits until both ends are equal.
 * @param {import('./sources.mjs').Source} source
 * @param {string} database
 * @param {import('./targets.mjs').Target} target
 * @param {number} seed
 * @param {readonly string[]} killed
 * @param {Replicator} replicator
 */
async function settle(source, database, target, seed, killed, replicator) {
  let difference = /** @type {string | undefined} */ ('nothing was compared');
  const isEqual = async () => {
    for (const table of source.tables) {
      difference = firstDifference(await source.rows(database, table), await target.rows(table));
      if (difference !== undefined) {
        difference = `${table} ${difference}`;
        return false;
      }
    }
    return true;
  };
  try {
    await eventually(isEqual, { deadlineMs: SETTLE_MS, intervalMs: 100 });
  } catch (error) {
    const message = `seed ${String(seed)} (killed: ${killed.join(', ')}): ${String(difference)}\nthe process said:\n${replicator.log}`;
    throw new Error(message, { cause: error });
  }
}
