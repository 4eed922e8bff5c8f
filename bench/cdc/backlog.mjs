// A backlog of changes applied, by this library and by a peer in turns.
import { Ours } from './ours-process.mjs';
import { subscribe } from './subscription.mjs';
import { runProgram } from '../snapshot/peer-program.mjs';
import { EVENTS_PER_TRANSACTION, TABLE } from './workload.mjs';

/** @typedef {import('./subscription.mjs').Server} Server */

/**
 * @typedef {object} Round
 * @property {import('./ours.mjs').CaughtUp} ours
 * @property {number | undefined} peerSeconds
 */

/**
 * @typedef {object} Backlog
 * @property {string} target
 * @property {number} events
 * @property {string | undefined} peer what it does
 * @property {Round[]} rounds
 */

const PEERS = {
  postgres: 'PostgreSQL’s own subscription',
  mongodb: 'ordered bulk writes of ready operations, Rust driver',
  mariadb: undefined,
  sqlite: undefined,
};

/**
 * @param {Server} server
 * @param {import('./targets.mjs').BenchTarget} target
 * @param {number} events
 * @param {number} rounds
 * @param {(message: string) => void} log
 * @returns {Promise<Backlog>}
 */
export async function measureBacklog(server, target, events, rounds, log) {
  /** @type {Backlog} */
  const result = { target: target.dialect, events, peer: PEERS[target.dialect], rounds: [] };
  for (let round = 1; round <= rounds; round += 1) {
    const { ours, peerSeconds } = await measureRound(server, target, events);
    result.rounds.push({ ours, peerSeconds });
    const theirs = peerSeconds === undefined ? '' : `, peer ${peerSeconds.toFixed(2)} s`;
    log(`${target.dialect}, ${String(events)} events, round ${String(round)} of ${String(rounds)}: library ${ours.seconds.toFixed(2)} s${theirs}`);
  }
  return result;
}

/**
 * @param {Server} server
 * @param {import('./targets.mjs').BenchTarget} target
 * @param {number} events
 * @returns {Promise<Round>}
 */
async function measureRound(server, target, events) {
  await server.psql(`TRUNCATE ${TABLE}`, server.database);
  await target.empty();
  const ours = new Ours();
  await ours.open({ dialect: 'postgres', uri: server.uri }, target.database());
  const subscription = target.dialect === 'postgres' ? await subscribe(server, server.database) : undefined;
  await server.psql(`CALL write(${String(Math.ceil(events / EVENTS_PER_TRANSACTION))})`, server.database);
  await server.psql('CHECKPOINT', server.database);
  const measured = await ours.catchUp();
  if (measured.changes === 0) throw new Error('no change was applied');
  await ours.end();
  let peerSeconds;
  if (subscription !== undefined) {
    peerSeconds = await subscription.apply();
    await subscription.end();
  } else if (target.dialect === 'mongodb') {
    await target.empty();
    ({ seconds: peerSeconds } = await runProgram({ do: 'change', target: target.database(), table: TABLE, events }));
  }
  return { ours: measured, peerSeconds };
}
