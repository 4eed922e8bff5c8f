// The rounds of one pair: this library and its peer in turns, each into an empty target.
import { runOurs } from './ours-process.mjs';
import { peerOf } from './peers.mjs';
import { readContent, removeTable } from './target.mjs';

/**
 * @typedef {object} Round
 * @property {import('./ours.mjs').Measured} ours
 * @property {{seconds: number} | undefined} peer
 */

/**
 * @typedef {object} Result
 * @property {string} pair
 * @property {number} rows
 * @property {string | undefined} peer what it does
 * @property {Round[]} rounds
 */

// Both sides must have stored the same; pages may be filled a little differently.
const SAME_SIZE = 0.05;

/**
 * @param {import('./databases.mjs').Pair} pair its source holds the rows
 * @param {number} rows
 * @param {number} rounds
 * @param {(message: string) => void} log
 * @returns {Promise<Result>}
 * @throws {Error} when a side fails, or stores something else than the other
 */
export async function measurePair(pair, rows, rounds, log) {
  const { name, source, target } = pair;
  const peer = peerOf(source, target);
  /** @type {Result} */
  const result = { pair: name, rows, peer: peer?.name, rounds: [] };
  for (let round = 1; round <= rounds; round += 1) {
    await removeTable(target);
    const ours = await runOurs(source, target);
    const stored = await readStored(target, rows, 'the library');
    await removeTable(target);
    const peerSeconds = await peer?.copy(source, target);
    if (peerSeconds !== undefined) requireSameSize(stored, await readStored(target, rows, 'the peer'));
    await removeTable(target);
    result.rounds.push({ ours, peer: peerSeconds === undefined ? undefined : { seconds: peerSeconds } });
    const theirs = peerSeconds === undefined ? '' : `, peer ${peerSeconds.toFixed(2)} s`;
    log(`${name}, ${rows} rows, round ${round} of ${rounds}: library ${ours.seconds.toFixed(2)} s${theirs}`);
  }
  return result;
}

/**
 * @param {import('./databases.mjs').Database} target
 * @param {number} rows
 * @param {string} side
 */
async function readStored(target, rows, side) {
  const content = await readContent(target);
  if (content.rows !== rows) throw new Error(`${side} stored ${content.rows} rows, not ${rows}`);
  return content;
}

/**
 * @param {import('./target.mjs').Content} ours
 * @param {import('./target.mjs').Content} theirs
 */
function requireSameSize(ours, theirs) {
  if (Math.abs(ours.bytes / theirs.bytes - 1) > SAME_SIZE) {
    throw new Error(`the library stored ${ours.bytes} bytes and the peer ${theirs.bytes}: they did not store the same`);
  }
}
