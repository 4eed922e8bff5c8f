// System V shared memory of a PostgreSQL server that was killed and will not start again.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Releases the segment that a killed server's pid file names. A server that ended in order has removed
 * both; one that is started again takes care of it itself.
 * @param {string} dataFolder
 */
export function discardSharedMemory(dataFolder) {
  let segment;
  try {
    // The seventh line holds the segment's key and id.
    segment = readFileSync(path.join(dataFolder, 'postmaster.pid'), 'utf8').split('\n')[6]?.trim().split(/\s+/)[1];
  } catch {
    return;
  }
  if (segment !== undefined && /^\d+$/.test(segment)) spawnSync('ipcrm', ['-m', segment], { stdio: 'ignore' });
}
