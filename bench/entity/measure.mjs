// Turns of one operation by both sides, each round in the other order.
import { ROWS, idOf, newPerson } from './people.mjs';

/** @typedef {import('./peers/drivers.mjs').Side} Side */

/**
 * An operation, how many of it are under way at once, and how many rows it gives.
 * @typedef {object} Case
 * @property {string} name
 * @property {number} inFlight
 * @property {(side: Side) => unknown} call
 */

/** @returns {string} the id of some row that every table holds */
function someId() {
  return idOf(Math.floor(Math.random() * ROWS));
}

/** @type {readonly Case[]} */
export const CASES = [
  { name: 'findById', inFlight: 1, call: (side) => side.findById(someId()) },
  { name: 'findById', inFlight: 64, call: (side) => side.findById(someId()) },
  { name: 'create', inFlight: 1, call: (side) => side.create(newPerson()) },
  { name: 'create', inFlight: 64, call: (side) => side.create(newPerson()) },
  { name: `findAll, ${ROWS} rows`, inFlight: 1, call: (side) => side.findAll() },
];

const ORDERS = /** @type {const} */ ([['ours', 'peer'], ['peer', 'ours']]);

/**
 * Calls per second, round by round.
 * @typedef {object} Measured
 * @property {number[]} ours
 * @property {number[]} peer
 */

/**
 * @param {Case} measured
 * @param {{ours: Side, peer: Side}} sides
 * @param {{rounds: number, seconds: number}} options
 * @returns {Promise<Measured>}
 */
export async function measureCase(measured, sides, { rounds, seconds }) {
  /** @type {Measured} */
  const rates = { ours: [], peer: [] };
  // Once for the caches of both, unmeasured.
  for (const side of [sides.ours, sides.peer]) await turn(measured, side, seconds / 4);
  for (let round = 0; round < rounds; round += 1) {
    for (const side of ORDERS[round % 2] ?? []) rates[side].push(await turn(measured, sides[side], seconds));
  }
  return rates;
}

/**
 * @param {Case} measured
 * @param {Side} side
 * @param {number} seconds
 * @returns {Promise<number>} calls per second
 */
async function turn({ inFlight, call }, side, seconds) {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let calls = 0;
  const worker = async () => {
    while (performance.now() < end) {
      const result = call(side);
      // A driver that answers at once is not made to wait.
      if (result instanceof Promise) await result;
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (calls / (performance.now() - begin)) * 1000;
}
