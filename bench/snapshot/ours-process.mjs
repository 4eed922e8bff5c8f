// Starts this library's side of a round in a fresh process.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TABLE } from './dataset.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

const SCRIPT = fileURLToPath(new URL('./ours.mjs', import.meta.url));

/**
 * Copies the table by this library.
 * @param {Database} source
 * @param {Database} target
 * @returns {Promise<import('./ours.mjs').Measured>}
 * @throws {Error} when a row could not be copied, or the process ended early
 */
export function runOurs(source, target) {
  // Ends by itself when this process is gone.
  const child = fork(SCRIPT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`the measured process ended early (${signal ?? `code ${code}`})`)));
    child.once('message', (/** @type {{measured: import('./ours.mjs').Measured} | {error: string}} */ answer) => {
      child.removeAllListeners('exit');
      child.once('exit', () => ('error' in answer ? reject(new Error(answer.error)) : resolve(answer.measured)));
    });
    child.send({ source, target, table: TABLE });
  });
}
