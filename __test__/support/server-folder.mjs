// The temporary folder of one server: data, sockets and log, removed with the server or by the guardian.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isOpenToAll } from '../../scripts/servers/cache.mjs';
import { handOverFile } from './account.mjs';
import { guardian } from './guardian.mjs';
import { discardSharedMemory } from './shared-memory.mjs';

/** @typedef {import('./account.mjs').Account} Account */

/**
 * @typedef {object} ServerFolder
 * @property {string} root
 * @property {string} data not made yet: some servers want to make it themselves
 * @property {string} socket for unix sockets, reachable for the server's account and root only
 * @property {string} log the server's output
 * @property {() => Promise<void>} remove
 */

// Unix socket paths end at about 100 characters, and temporary folders may be deep.
const LONGEST_BASE = 60;

/**
 * @param {Account | undefined} account the account the server runs as, if it is another
 * @returns {Promise<ServerFolder>}
 */
export async function createServerFolder(account) {
  const root = path.join(await baseFolder(account), `replicaverse-${randomBytes(6).toString('hex')}`);
  // Registered before it exists, so that it never exists unregistered.
  guardian().addPath(root);
  await mkdir(root);
  // The server's account must be able to pass through, though not to look around.
  await chmod(root, 0o711);
  const folder = {
    root,
    data: path.join(root, 'data'),
    socket: path.join(root, 'socket'),
    log: path.join(root, 'log'),
    async remove() {
      discardSharedMemory(folder.data);
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
      guardian().removePath(root);
    },
  };
  await mkdir(folder.socket, { mode: 0o700 });
  await handOverFile(folder.socket, account);
  return folder;
}

/**
 * Makes the empty data folder, owned by the account the server runs as.
 * @param {ServerFolder} folder
 * @param {Account | undefined} account
 */
export async function createDataFolder(folder, account) {
  await mkdir(folder.data, { mode: 0o700 });
  await handOverFile(folder.data, account);
}

/**
 * @param {Account | undefined} account
 * @returns {Promise<string>}
 */
async function baseFolder(account) {
  const base = tmpdir();
  if (base.length > LONGEST_BASE) return '/tmp';
  return account === undefined || (await isOpenToAll(base)) ? base : '/tmp';
}
