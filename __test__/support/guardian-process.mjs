// The guardian's own program: reads registrations until the test process is gone, then kills and removes.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { discardLocksOf } from '../../scripts/servers/lock.mjs';
import { belongsTo, familyOf, isRunning, listProcesses, signalProcess } from './processes.mjs';
import { discardSharedMemory } from './shared-memory.mjs';

const GRACE_MS = 3_000;
const KILL_MS = 5_000;
const POLL_MS = 15;

/** @type {Map<number, NodeJS.Signals>} */
const leaders = new Map();
/** @type {Set<string>} */
const paths = new Set();
/** @type {Map<string, string>} */
const lockFolders = new Map();

/** @param {import('./guardian.mjs').Registration} registration */
function register(registration) {
  if (registration.do === 'add-process') leaders.set(registration.pid, registration.signal);
  else if (registration.do === 'remove-process') leaders.delete(registration.pid);
  else if (registration.do === 'add-path') paths.add(registration.path);
  else if (registration.do === 'add-lock-folder') lockFolders.set(registration.holder, registration.path);
  else paths.delete(registration.path);
}

/**
 * The registered processes, those that work in a registered folder, and all their descendants.
 * @param {readonly import('./processes.mjs').ProcessEntry[]} processes
 * @returns {number[]}
 */
function findVictims(processes) {
  // A registered process leads its group; another process that got its number later does not.
  const roots = processes.filter((entry) => (leaders.has(entry.pid) && entry.group === entry.pid) || belongsTo(entry, paths));
  const victims = new Set(roots.flatMap((entry) => familyOf(processes, entry.pid)));
  victims.delete(process.pid);
  return [...victims];
}

/**
 * @param {readonly number[]} pids
 * @param {number} deadlineMs
 */
async function waitUntilGone(pids, deadlineMs) {
  const deadline = performance.now() + deadlineMs;
  while (pids.some(isRunning) && performance.now() < deadline) await delay(POLL_MS);
}

/**
 * Asks those that want to be asked, and kills the others.
 * @returns {Promise<void>}
 */
async function endProcesses() {
  const processes = listProcesses();
  const victims = findVictims(processes);
  const asked = victims.filter((pid) => (leaders.get(pid) ?? 'SIGKILL') !== 'SIGKILL');
  for (const pid of asked) signalProcess(pid, leaders.get(pid) ?? 'SIGKILL');
  const spared = new Set(asked.flatMap((pid) => familyOf(processes, pid)));
  for (const pid of victims) signalProcess(pid, spared.has(pid) ? 'SIGCONT' : 'SIGKILL');
  await waitUntilGone(victims, GRACE_MS);
  const deadline = performance.now() + KILL_MS;
  for (let rest = victims.filter(isRunning); performance.now() < deadline; rest = findVictims(listProcesses())) {
    for (const pid of rest) signalProcess(pid, 'SIGKILL');
    await waitUntilGone(rest, 1_000);
    if (rest.length === 0) break;
  }
}

function removePaths() {
  for (const target of paths) {
    discardSharedMemory(path.join(target, 'data'));
    try {
      rmSync(target, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // Nobody is left to tell; the other paths still deserve removal.
    }
  }
}

// The terminal's and the system's signals are for the test process. Its end is what counts here.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) register(JSON.parse(line));
await endProcesses();
removePaths();
for (const [holder, folder] of lockFolders) discardLocksOf(folder, holder);
