// How long it takes to choose the replica of a read, and how much of a processor it takes to watch many.
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicationManager } from 'replicaverse';
import { eventually } from '../../__test__/support/eventually.mjs';

const CALLS = 200_000;
/** The ways in which a manager chooses. */
export const STRATEGIES = /** @type {const} */ (['round-robin', 'random', 'least-lag']);

/** @typedef {import('../../__test__/support/postgres-node.mjs').PostgresNode} PostgresNode */

/**
 * A manager with a master and standbys, which are one server under many names.
 *
 * @param {PostgresNode} primary
 * @param {PostgresNode} standby
 * @param {number} slaves
 */
export async function openManager(primary, standby, slaves) {
  const manager = new ReplicationManager();
  const replica = { dialect: /** @type {const} */ ('postgres'), poolSize: 2 };
  await manager.addReplica('bench', { ...replica, name: 'master', role: 'master', uri: primary.uri }, []);
  for (let number = 1; number <= slaves; number += 1) {
    await manager.addReplica('bench', { ...replica, name: `slave-${number}`, role: 'slave', uri: standby.uri, feed: 'native' }, []);
  }
  const isMeasured = () => manager.getReplicaStatus('bench').every(({ role, lag }) => role === 'master' || lag !== null);
  await eventually(isMeasured, { deadlineMs: 30_000, what: 'the lag of each slave' });
  return manager;
}

/**
 * Nanoseconds of a call, round by round: of the manager by each strategy, and of a round-robin over an array.
 *
 * @param {ReplicationManager} manager
 * @param {number} rounds
 */
export function measureChoice(manager, rounds) {
  const services = Array.from({ length: 10 }, () => manager.resolveReadService('bench'));
  let next = 0;
  const ways = [
    ...STRATEGIES.map((strategy) => ({
      name: strategy,
      begin: () => manager.setReadRouting('bench', strategy),
      call: () => manager.resolveReadService('bench'),
    })),
    { name: 'an array in turn', begin: () => {}, call: () => services[next++ % services.length] },
  ];
  const times = ways.map(({ name }) => ({ name, rounds: /** @type {number[]} */ ([]) }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, { begin, call }] of ways.entries()) {
      begin();
      const start = performance.now();
      for (let calls = 0; calls < CALLS; calls += 1) call();
      times[at]?.rounds.push(((performance.now() - start) * 1e6) / CALLS);
    }
  }
  return times;
}

/**
 * The share of one processor that this process takes while it does nothing but watch.
 *
 * @param {number} seconds
 */
export async function measureWatching(seconds) {
  const begin = performance.now();
  const before = process.cpuUsage();
  await delay(seconds * 1000);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - begin);
}
