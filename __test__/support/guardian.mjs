// Nothing outlives a test process: what it starts is registered with a guardian process, which cleans up
// when the test process is gone, however it ended.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * A line on the guardian's standard input.
 * @typedef {{do: 'add-process', pid: number, signal: NodeJS.Signals} | {do: 'remove-process', pid: number}
 *   | {do: 'add-path', path: string} | {do: 'remove-path', path: string}
 *   | {do: 'add-lock-folder', path: string, holder: string}} Registration
 */

/**
 * @typedef {object} Guardian
 * @property {number | undefined} pid the guardian process, for tests
 * @property {(pid: number, signal?: NodeJS.Signals) => void} addProcess registers the leader of a process group; it
 *   gets the signal first, and it and its descendants are killed if that does not end them
 * @property {(pid: number) => void} removeProcess
 * @property {(path: string) => void} addPath registers a file or folder to remove; processes that work in it are killed
 * @property {(path: string) => void} removePath
 * @property {(path: string, holder: string) => void} addLockFolder registers a folder in which lock files are taken;
 *   those of the holder are removed
 */

const INSTANCE = Symbol.for('replicaverse.test.guardian');

/**
 * The guardian of this process, started at the first call. It does not keep this process alive.
 * @returns {Guardian}
 */
export function guardian() {
  // Test runners load modules anew for each file; the guardian belongs to the process.
  const holder = /** @type {Record<symbol, Guardian | undefined>} */ (/** @type {unknown} */ (globalThis));
  return (holder[INSTANCE] ??= startGuardian());
}

/** @returns {Guardian} */
function startGuardian() {
  /** @type {Map<number, NodeJS.Signals>} */
  const processes = new Map();
  /** @type {Set<string>} */
  const paths = new Set();
  /** @type {Map<string, string>} */
  const lockFolders = new Map();
  let child = spawnGuardian(respawn);

  /** Should somebody kill the guardian alone, the next one learns what it knew. */
  function respawn() {
    child = spawnGuardian(respawn);
    for (const [pid, signal] of processes) send({ do: 'add-process', pid, signal });
    for (const path of paths) send({ do: 'add-path', path });
    for (const [holder, path] of lockFolders) send({ do: 'add-lock-folder', path, holder });
  }

  /** @param {Registration} registration */
  function send(registration) {
    child.stdin.write(`${JSON.stringify(registration)}\n`);
  }

  return {
    get pid() {
      return child.pid;
    },
    addProcess(pid, signal = 'SIGKILL') {
      processes.set(pid, signal);
      send({ do: 'add-process', pid, signal });
    },
    removeProcess(pid) {
      if (processes.delete(pid)) send({ do: 'remove-process', pid });
    },
    addPath(path) {
      paths.add(path);
      send({ do: 'add-path', path });
    },
    removePath(path) {
      if (paths.delete(path)) send({ do: 'remove-path', path });
    },
    addLockFolder(path, holder) {
      if (lockFolders.has(holder)) return;
      lockFolders.set(holder, path);
      send({ do: 'add-lock-folder', path, holder });
    },
  };
}

/** @param {() => void} onExit */
function spawnGuardian(onExit) {
  const script = fileURLToPath(new URL('./guardian-process.mjs', import.meta.url));
  // Detached means a session of its own: Ctrl-C in the terminal does not reach it.
  const child = spawn(process.execPath, [script], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: { PATH: process.env.PATH, LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH },
  });
  child.once('exit', onExit);
  child.once('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  /** @type {import('node:net').Socket} */ (child.stdin).unref();
  return child;
}
