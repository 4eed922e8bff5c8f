// The account that servers run as: this process's own, or an ordinary one where a server refuses root.
import { chown } from 'node:fs/promises';
import { run, runOrThrow } from '../../scripts/servers/command.mjs';

/**
 * @typedef {object} Account
 * @property {string} name
 * @property {number} uid
 * @property {number} gid
 */

/**
 * The first of the accounts that exists, when this process is root.
 * @param {readonly string[]} names in order of preference; `nobody` is tried after them
 * @returns {Promise<Account | undefined>} undefined when this process is not root and so needs no other account
 * @throws {Error} when no account exists
 */
export async function unprivilegedAccount(names) {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of [...names, 'nobody']) {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    if (uid.code === 0 && gid.code === 0) return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error(`this server refuses to run as root, and there is none of the accounts ${[...names, 'nobody'].join(', ')}`);
}

/**
 * Hands a folder and all it contains to the account.
 * @param {string} folder
 * @param {Account | undefined} account undefined leaves everything as it is
 */
export async function handOver(folder, account) {
  if (account !== undefined) await runOrThrow('chown', ['-R', `${account.uid}:${account.gid}`, folder]);
}

/**
 * Hands one file or folder to the account.
 * @param {string} file
 * @param {Account | undefined} account undefined leaves it as it is
 */
export async function handOverFile(file, account) {
  if (account !== undefined) await chown(file, account.uid, account.gid);
}
