// Turns of one case by every client, each round in another order, with what they cost.
import { readFileSync } from 'node:fs';

/** @typedef {import('./clients.mjs').Client} Client */
/** @typedef {import('./cases.mjs').Case} Case */

/**
 * What one turn gave.
 * @typedef {object} Turn
 * @property {number} rate calls per second
 * @property {number} mainCpu microseconds of the main thread per call
 * @property {number} processCpu microseconds of the process per call
 * @property {number} longestGap milliseconds for which the event loop was not free
 */

/**
 * @param {Case} measured
 * @param {readonly Client[]} clients
 * @param {{ rounds: number, seconds: number }} options
 * @returns {Promise<Turn[][]>} for each client its turns
 */
export async function measureCase(measured, clients, { rounds, seconds }) {
  // Once for the caches and connections of all, unmeasured.
  for (const client of clients) await turn(measured, client, seconds);
  /** @type {Turn[][]} */
  const turns = clients.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (let place = 0; place < clients.length; place += 1) {
      const at = (place + round) % clients.length;
      turns[at]?.push(await turn(measured, /** @type {Client} */ (clients[at]), seconds));
    }
  }
  return turns;
}

/**
 * @param {Case} measured
 * @param {Client} client
 * @param {number} seconds
 * @returns {Promise<Turn>}
 */
async function turn({ inFlight, sql, values, rows }, client, seconds) {
  // The litter of the client before is not this one's.
  globalThis.gc?.();
  const gap = watchEventLoop();
  const begin = performance.now();
  const cpu = { main: mainThreadCpu(), process: process.cpuUsage() };
  const end = begin + seconds * 1000;
  let calls = 0;
  const worker = async () => {
    do {
      const result = await client.rows(sql, values());
      if (result.length !== rows) throw new Error(`${client.name}: ${result.length} rows instead of ${rows}`);
      calls += 1;
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const spent = process.cpuUsage(cpu.process);
  return {
    rate: (calls / (performance.now() - begin)) * 1000,
    mainCpu: (mainThreadCpu() - cpu.main) / calls,
    processCpu: (spent.user + spent.system) / calls,
    longestGap: gap.stop(),
  };
}

/** Microseconds that the main thread has run; its number is that of the process. */
function mainThreadCpu() {
  const [nanoseconds = ''] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(nanoseconds) / 1000;
}

/** A timer that should come every millisecond. */
function watchEventLoop() {
  let longest = 0;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 1);
    last = now;
  };
  const timer = setInterval(look, 1);
  return {
    stop() {
      look();
      clearInterval(timer);
      return longest;
    },
  };
}
