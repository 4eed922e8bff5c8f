// Looking at the machine's processes: who exists, who descends from whom, who works in a folder.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * @typedef {object} ProcessEntry
 * @property {number} pid
 * @property {number} parent
 * @property {number} group
 * @property {string} command command line
 * @property {string} [folder] working directory, where the system tells it
 */

/**
 * All processes that are not dead. A zombie is dead: it only waits for its parent to look.
 * @returns {ProcessEntry[]}
 */
export function listProcesses() {
  return process.platform === 'linux' ? listFromProc() : listFromPs();
}

/**
 * The process and everything that descends from it.
 * @param {readonly ProcessEntry[]} processes
 * @param {number} pid
 * @returns {number[]} parents before their children
 */
export function familyOf(processes, pid) {
  const family = [pid];
  for (const member of family) {
    for (const entry of processes) {
      if (entry.parent === member && !family.includes(entry.pid)) family.push(entry.pid);
    }
  }
  return family;
}

/**
 * Whether the process works in one of the folders or names it on its command line.
 * @param {ProcessEntry} entry
 * @param {Iterable<string>} folders
 * @returns {boolean}
 */
export function belongsTo(entry, folders) {
  for (const folder of folders) {
    if (entry.command.includes(folder) || entry.folder === folder || entry.folder?.startsWith(`${folder}/`)) return true;
  }
  return false;
}

/**
 * Whether the process exists and is not a zombie.
 * @param {number} pid
 * @returns {boolean}
 */
export function isRunning(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
  return process.platform !== 'linux' || readEntry(pid) !== undefined;
}

/**
 * Sends a signal, unless the process is gone.
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
export function signalProcess(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself in the meantime, which is as good.
  }
}

/** @returns {ProcessEntry[]} */
function listFromProc() {
  const entries = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const entry = Number.isInteger(pid) ? readEntry(pid) : undefined;
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/**
 * @param {number} pid
 * @returns {ProcessEntry | undefined}
 */
function readEntry(pid) {
  const text = readOrEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the program's name in brackets, which may hold spaces and brackets itself.
  const [state, parent, group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (text === '' || state === 'Z' || state === 'X') return undefined;
  const command = readOrEmpty(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
  const folder = readOrEmpty(() => readlinkSync(`/proc/${pid}/cwd`));
  return { pid, parent: Number(parent), group: Number(group), command, folder };
}

/** @param {() => string} read */
function readOrEmpty(read) {
  try {
    return read();
  } catch {
    return '';
  }
}

/** @returns {ProcessEntry[]} */
function listFromPs() {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,pgid=,state=,command='], { encoding: 'utf8' });
  const entries = [];
  for (const line of (stdout ?? '').split('\n')) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line);
    if (match === null || match[4]?.startsWith('Z')) continue;
    entries.push({ pid: Number(match[1]), parent: Number(match[2]), group: Number(match[3]), command: match[5] ?? '' });
  }
  return entries;
}
