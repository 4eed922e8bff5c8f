// The user's cache folder: downloaded servers and prepared data folders, each put in place atomically.
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { withLock } from './lock.mjs';

/**
 * The folder that keeps what is costly to get: `$XDG_CACHE_HOME/replicaverse`, else `~/.cache/replicaverse`.
 * @returns {string}
 */
export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME;
  return path.join(base !== undefined && path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'replicaverse');
}

/**
 * A cache folder whose programs another user may run too. Root starts PostgreSQL as someone else, who
 * cannot look into root's home.
 * @returns {Promise<string>}
 */
export async function sharedCacheFolder() {
  const folder = cacheFolder();
  if (process.getuid?.() !== 0) return folder;
  return (await isOpenToAll(folder)) ? folder : '/var/cache/replicaverse';
}

/**
 * The entry `name` of a cache folder, made by `make` when it is not there yet. Two processes that want the
 * same entry make it once, and an entry that exists is complete: `make` fills a temporary folder that is
 * renamed at the end.
 * @param {string} folder a cache folder
 * @param {string} name
 * @param {(draft: string) => Promise<void>} make fills the given empty folder
 * @returns {Promise<string>} the entry's path
 */
export async function cached(folder, name, make) {
  const entry = path.join(folder, name);
  if (await exists(entry)) return entry;
  await mkdir(folder, { recursive: true });
  return withLock(`${entry}.lock`, async () => {
    if (await exists(entry)) return entry;
    await discardDrafts(folder, `${name}.draft-`);
    const draft = await mkdtemp(`${entry}.draft-`);
    try {
      await make(draft);
      await rename(draft, entry);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    return entry;
  });
}

/**
 * Removes what a killed process left half-made. The caller holds the entry's lock.
 * @param {string} folder
 * @param {string} prefix
 */
async function discardDrafts(folder, prefix) {
  for (const name of await readdir(folder)) {
    if (name.startsWith(prefix)) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

/**
 * @param {string} file
 * @returns {Promise<boolean>}
 */
export async function exists(file) {
  return stat(file).then(() => true, () => false);
}

/**
 * Whether every existing folder on the path may be entered by any user.
 * @param {string} folder
 * @returns {Promise<boolean>}
 */
export async function isOpenToAll(folder) {
  for (let current = path.resolve(folder); ; current = path.dirname(current)) {
    const mode = await stat(current).then((found) => found.mode, () => undefined);
    if (mode !== undefined && (mode & 0o001) === 0) return false;
    if (current === path.dirname(current)) return true;
  }
}
