// Lock files between processes: taken atomically, and given up by themselves when their owner dies.
import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A lock that this process holds.
 * @typedef {object} FileLock
 * @property {string} file
 * @property {() => Promise<void>} release
 */

/** @typedef {{pid: number, host: string, holder: string, token: string}} Owner */

/**
 * Tells this process's locks from those of others, and one thread's from another's.
 * @type {string}
 */
export const lockHolder = `${process.pid}-${randomUUID().slice(0, 8)}`;

/**
 * Takes the lock if it is free or its owner is dead.
 * @param {string} file the lock file; its folder is made when missing
 * @returns {Promise<FileLock | undefined>} undefined when a living process holds it
 */
export async function tryLock(file) {
  /** @type {Owner} */
  const owner = { pid: process.pid, host: hostname(), holder: lockHolder, token: randomUUID() };
  const draft = draftName(file, owner.token);
  // The content is written before the name appears, so nobody reads a lock without an owner.
  await writeDraft(draft, JSON.stringify(owner));
  try {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (await linked(draft, file)) {
        return { file, release: () => release(file, owner.token) };
      }
      if (!(await discardIfDead(file))) return undefined;
    }
    return undefined;
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Runs the work while holding the lock, waiting for it as long as its owner lives.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(file, work) {
  let lock = await tryLock(file);
  while (lock === undefined) {
    await delay(100);
    lock = await tryLock(file);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/**
 * Removes the locks of a holder that has ended, and its unfinished ones; then the folder, if nothing else
 * is in it.
 * @param {string} folder
 * @param {string} holder its `lockHolder`
 */
export function discardLocksOf(folder, holder) {
  for (const name of readdirOrEmpty(folder)) {
    const file = path.join(folder, name);
    if (name.includes(`.${holder}.`) || parseOwner(readOrEmpty(file))?.holder === holder) rmSync(file, { force: true });
  }
  try {
    rmdirSync(folder);
  } catch {
    // Others have locks in it, or another process was faster.
  }
}

/**
 * The name tells whose draft it is, for the case that it stays.
 * @param {string} file
 * @param {string} token
 */
function draftName(file, token) {
  return `${file}.${lockHolder}.${token}`;
}

/**
 * @param {string} draft
 * @param {string} content
 */
async function writeDraft(draft, content) {
  for (let attempt = 1; ; attempt += 1) {
    await mkdir(path.dirname(draft), { recursive: true });
    try {
      await writeFile(draft, content, { flag: 'wx' });
      return;
    } catch (error) {
      // Somebody may remove the empty folder just after it was made.
      if (errorCode(error) !== 'ENOENT' || attempt === 10) throw error;
    }
  }
}

/**
 * @param {string} draft
 * @param {string} file
 */
async function linked(draft, file) {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock when its owner is dead.
 * @param {string} file
 * @returns {Promise<boolean>} whether it makes sense to try again
 */
async function discardIfDead(file) {
  const owner = await ownerOf(file);
  if (owner === undefined) return true;
  if (isAlive(owner)) return false;
  // Two processes may see the same dead owner: whoever renames the file decides, and puts it back
  // when it turns out to be a newer lock.
  const aside = draftName(file, randomUUID());
  try {
    await rename(file, aside);
  } catch {
    return true;
  }
  const renamed = await ownerOf(aside);
  if (renamed !== undefined && renamed.token !== owner.token) await linked(aside, file);
  await rm(aside, { force: true });
  return true;
}

/**
 * @param {string} file
 * @returns {Promise<Owner | undefined>}
 */
async function ownerOf(file) {
  return parseOwner(await readFile(file, 'utf8').catch(() => ''));
}

/**
 * @param {string} text
 * @returns {Owner | undefined}
 */
function parseOwner(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {string} file */
function readOrEmpty(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** @param {string} folder */
function readdirOrEmpty(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** @param {Owner} owner */
function isAlive(owner) {
  // A folder shared between machines: another machine's processes cannot be asked.
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/**
 * @param {string} file
 * @param {string} token
 */
async function release(file, token) {
  const owner = await ownerOf(file);
  if (owner?.token === token) await rm(file, { force: true });
}

/** @param {unknown} error */
function errorCode(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code;
}
