// Free TCP ports that no other suite on this machine gets at the same time.
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { lockHolder, tryLock } from '../../scripts/servers/lock.mjs';
import { guardian } from './guardian.mjs';

// Below the range from which systems take the ports of outgoing connections, so that a stopped server
// finds its port free when it starts again.
const FIRST = 20_000;
const COUNT = 12_000;
const ATTEMPTS = 200;

/**
 * A port that is this process's own until it is released or the process ends.
 * @typedef {object} ReservedPort
 * @property {number} port
 * @property {() => Promise<void>} release
 */

/**
 * Reserves a port of 127.0.0.1 that nothing listens on.
 * @returns {Promise<ReservedPort>}
 * @throws {Error} when no free port was found
 */
export async function reservePort() {
  guardian().addLockFolder(reservationFolder(), lockHolder);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const lock = await tryLock(path.join(reservationFolder(), String(port)));
    if (lock === undefined) continue;
    if (await canListen(port)) return { port, release: lock.release };
    await lock.release();
  }
  throw new Error(`no free port was found between ${FIRST} and ${FIRST + COUNT}`);
}

/** Each user has a folder, because nobody else may write into it. */
function reservationFolder() {
  return path.join(tmpdir(), `replicaverse-ports-${userInfo().uid}`);
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function canListen(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
