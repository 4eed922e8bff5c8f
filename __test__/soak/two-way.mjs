// One seed of the soak of bidirectional rules: random writes on both sides, while the streaming process is killed at random
// moments. Afterwards both sides are equal, hold for each row what was written last to it, and every conflict kept its loser.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ReplicationManager } from 'replicaverse';
import { eventually } from '../support/index.mjs';
import { Random } from './random.mjs';
import { openWriter } from './two-way-writer.mjs';

const REPLICATOR = fileURLToPath(new URL('replicator-process.mjs', import.meta.url));
/** @type {import('replicaverse').ReplicationRuleConfig} */
const RULE = { name: 'soak', source: 'source', target: 'target', mode: 'bidirectional', collections: ['item'] };
const ROWS = 40;
const EQUAL_WITHIN_MS = 120_000;

/**
 * @typedef {object} TwoWayReport
 * @property {number} writes
 * @property {number} conflicts that were decided
 * @property {number} losers versions that the rule overwrote, each of which it has kept
 */

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {Awaited<ReturnType<typeof import('../support/index.mjs').startPostgres>>} options.source
 * @param {import('./targets.mjs').Target} options.target
 * @param {number} [options.writes]
 * @param {number} [options.kills]
 * @returns {Promise<TwoWayReport>}
 * @throws {Error} when the sides differ in the end, or hold something else than what was written last
 */
export async function runTwoWay({ seed, source, target, writes = 400, kills = 2 }) {
  const random = new Random(seed);
  const database = `two_way_${String(process.pid)}_${String(seed)}`;
  const uri = await source.createDatabase(database);
  await source.psql('CREATE TABLE item (id varchar(40) PRIMARY KEY, name text, "updatedAt" timestamptz)', database);
  await target.reset();
  const ends = { source: { dialect: /** @type {const} */ ('postgres'), uri, collections: ['item'] }, target: target.config(), rule: RULE };
  await exchangeOnce(ends);
  const writers = [await openWriter({ dialect: 'postgres', uri }), await openWriter(target.config())];
  let child = start(ends);
  try {
    /** @type {Map<string, {number: number, side: number, name: string | null}[]>} */
    const last = new Map();
    /** @type {string[]} */
    const named = [];
    /** What the writers themselves have overwritten or deleted, knowing of it. */
    const replaced = new Set();
    for (let number = 0; number < writes; number += 1) {
      const [side, id] = [random.below(2), `row ${String(random.below(ROWS))}`];
      const name = random.chance(0.85) ? `${side === 0 ? 'source' : 'target'} ${String(number)}` : null;
      if (name !== null) named.push(name);
      const before = await writers[side]?.write(id, name);
      if (typeof before === 'string') replaced.add(before);
      const others = (last.get(id) ?? []).filter((written) => written.side !== side);
      last.set(id, [...others, { number, side, name }]);
      if (random.chance(0.1)) await delay(30 * random.next());
      if (random.chance(kills / writes)) {
        await kill(child);
        child = start(ends);
      }
    }
    const rows = await untilEqual(writers);
    await kill(child);
    const rest = await exchangeOnce(ends);
    if (rest !== 0) throw new Error(`seed ${String(seed)}: ${String(rest)} rows were written although both sides were equal`);
    const conflicts = [...((await writers[0]?.conflicts()) ?? []), ...((await writers[1]?.conflicts()) ?? [])];
    check(seed, last, rows, conflicts);
    const losers = checkLosers(seed, replaced, rows, conflicts, named);
    return { writes, conflicts: conflicts.length, losers };
  } finally {
    await kill(child);
    for (const writer of writers) await writer.close();
  }
}

/**
 * Of a row that was deleted by neither side, the version stays that was written last; and what stays has never lost.
 * @param {number} seed
 * @param {Map<string, {number: number, side: number, name: string | null}[]>} last what each side has written last
 * @param {Map<string, string>} rows
 * @param {import('./two-way-writer.mjs').KeptConflict[]} conflicts
 */
function check(seed, last, rows, conflicts) {
  const losers = new Set(conflicts.map(({ winner, source, target }) => (winner === 'source' ? target : source)));
  for (const [id, written] of last) {
    const stays = rows.get(id) ?? null;
    const newest = written.reduce((a, b) => (a.number > b.number ? a : b));
    const isSaid = written.some(({ name }) => name === stays);
    const isNewest = written.some(({ name }) => name === null) || newest.name === stays;
    if (!isSaid || !isNewest || (stays !== null && losers.has(stays))) {
      throw new Error(`seed ${String(seed)}: ${id} is ${String(stays)} after ${JSON.stringify(written)}`);
    }
  }
}

/**
 * Every version that was written stays, or was overwritten by a writer who saw it, or is kept as the loser of a conflict. How many
 * losers there are.
 * @param {number} seed
 * @param {ReadonlySet<string>} replaced
 * @param {Map<string, string>} rows
 * @param {import('./two-way-writer.mjs').KeptConflict[]} conflicts
 * @param {readonly string[]} named
 */
function checkLosers(seed, replaced, rows, conflicts, named) {
  const stays = new Set(rows.values());
  const kept = new Set(conflicts.map(({ winner, source, target }) => (winner === 'source' ? target : source)));
  const losers = named.filter((name) => !stays.has(name) && !replaced.has(name));
  const lost = losers.filter((name) => !kept.has(name));
  if (lost.length > 0) throw new Error(`seed ${String(seed)}: the rule overwrote ${lost.join(', ')} and kept none of them`);
  return losers.length;
}

/** @param {readonly Awaited<ReturnType<typeof openWriter>>[]} writers */
async function untilEqual(writers) {
  const both = async () => {
    const [source, target] = await Promise.all(writers.map((writer) => writer.rows()));
    const text = (/** @type {Map<string, string> | undefined} */ rows) => JSON.stringify([...(rows ?? [])].sort());
    if (text(source) !== text(target)) throw new Error(`${text(source)} and ${text(target)}`);
    return source;
  };
  return await eventually(both, { deadlineMs: EQUAL_WITHIN_MS, intervalMs: 100, what: 'equal sides' });
}

/**
 * Exchanges what has changed; how many rows were written.
 * @param {import('./replicator-process.mjs').Ends} ends
 */
async function exchangeOnce({ source, target }) {
  const manager = new ReplicationManager();
  try {
    await manager.addReplica('source', { name: 'm', role: 'master', dialect: source.dialect, uri: source.uri }, []);
    await manager.addReplica('target', { name: 'm', role: 'master', ...target }, []);
    manager.addReplicationRule(RULE);
    await manager.start(RULE.name);
    await manager.stop(RULE.name);
    const { details } = await manager.sync(RULE.name);
    return details.reduce((sum, { created, updated, deleted, errors }) => sum + created + updated + deleted + errors, 0);
  } finally {
    await manager.disconnectAll();
  }
}

/** @param {import('./replicator-process.mjs').Ends} ends */
function start(ends) {
  return spawn(process.execPath, [REPLICATOR, JSON.stringify(ends)], { stdio: ['ignore', 'ignore', 'ignore'] });
}

/** @param {import('node:child_process').ChildProcess} child */
async function kill(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
