// One server process: started with its output in a log file, watched, paused, stopped or killed.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { lastLines } from '../../scripts/servers/command.mjs';
import { eventually } from './eventually.mjs';
import { guardian } from './guardian.mjs';
import { familyOf, isRunning, listProcesses, signalProcess } from './processes.mjs';

/**
 * @typedef {object} LaunchOptions
 * @property {string} name of the server, for error messages
 * @property {string} program
 * @property {readonly string[]} args
 * @property {string} cwd
 * @property {string} log file that gets the output
 * @property {import('./account.mjs').Account} [account] runs as this account
 * @property {NodeJS.Signals} [endSignal] what the guardian sends first; SIGKILL by default
 * @property {(pid: number) => Promise<boolean>} isReady asked until it says yes
 * @property {number} [deadlineMs] for getting ready, in milliseconds
 */

/**
 * @typedef {object} ServerProcess
 * @property {number} pid
 * @property {() => boolean} isRunning
 * @property {(signal: NodeJS.Signals, graceMs: number) => Promise<void>} stop sends the signal; what is left after the
 *   time is killed
 * @property {() => Promise<void>} kill SIGKILL to the server and its children, as a power failure would
 * @property {() => void} pause stops the server and its children where they are
 * @property {() => void} resume lets them go on
 */

/** The server's port was taken by somebody else before the server could listen on it. */
export class PortTakenError extends Error {
  name = 'PortTakenError';
}

/**
 * Starts a server and waits until it is ready.
 * @param {LaunchOptions} options
 * @returns {Promise<ServerProcess>}
 * @throws {PortTakenError} when the port is in use
 * @throws {Error} with the last lines of the log, when the server ends or is not ready in time
 */
export async function launch(options) {
  const logStart = await stat(options.log).then((found) => found.size, () => 0);
  const child = spawnServer(options);
  const pid = await new Promise((/** @type {(pid: number) => void} */ resolve, reject) => {
    if (child.pid !== undefined) resolve(child.pid);
    else child.once('error', reject);
  });
  guardian().addProcess(pid, options.endSignal ?? 'SIGKILL');
  let exited = false;
  child.once('exit', () => {
    exited = true;
    guardian().removeProcess(pid);
  });
  const server = controls(pid, () => !exited);
  const deadline = performance.now() + (options.deadlineMs ?? 60_000);
  for (;;) {
    // What ended may have become ready just before; readiness of a dead server counts for nothing.
    if (exited) throw await startError(options, logStart, 'ended while starting');
    if (await options.isReady(pid)) return server;
    if (performance.now() > deadline) {
      await server.kill();
      throw await startError(options, logStart, 'was not ready in time');
    }
    await delay(10);
  }
}

/** @param {LaunchOptions} options */
function spawnServer({ program, args, cwd, log, account }) {
  const output = openSync(log, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      cwd,
      uid: account?.uid,
      gid: account?.gid,
      env: serverEnvironment(),
      // Its own process group, out of reach of the terminal's Ctrl-C.
      detached: true,
      stdio: ['ignore', output, output],
    });
    child.unref();
    return child;
  } finally {
    closeSync(output);
  }
}

/**
 * A plain environment: a developer's PGPORT or MYSQL_HOME must not change what tests run against.
 * @returns {NodeJS.ProcessEnv}
 */
export function serverEnvironment() {
  return { PATH: process.env.PATH, LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH, LC_ALL: 'C', TZ: 'UTC', HOME: '/' };
}

/**
 * @param {number} pid
 * @param {() => boolean} isAlive
 * @returns {ServerProcess}
 */
function controls(pid, isAlive) {
  /** @type {number[]} */
  let paused = [];
  const resume = () => {
    for (const member of paused) signalProcess(member, 'SIGCONT');
    paused = [];
  };
  const kill = async () => {
    if (!isAlive()) return;
    const family = familyOf(listProcesses(), pid);
    for (const member of family) signalProcess(member, 'SIGKILL');
    await eventually(() => !isAlive() && !family.some(isRunning), { deadlineMs: 15_000, what: 'the end of a killed server' });
  };
  return {
    pid,
    isRunning: isAlive,
    kill,
    resume,
    pause() {
      // The parent first, so that it starts no child while the others are being stopped.
      signalProcess(pid, 'SIGSTOP');
      paused = familyOf(listProcesses(), pid);
      for (const member of paused) signalProcess(member, 'SIGSTOP');
    },
    async stop(signal, graceMs) {
      if (isAlive()) signalProcess(pid, signal);
      resume();
      const deadline = performance.now() + graceMs;
      while (isAlive() && performance.now() < deadline) await delay(10);
      if (isAlive()) await kill();
    },
  };
}

/**
 * @param {LaunchOptions} options
 * @param {number} logStart
 * @param {string} what
 * @returns {Promise<Error>}
 */
async function startError(options, logStart, what) {
  const log = await readFile(options.log).then((content) => content.subarray(logStart).toString('utf8'), () => '');
  const message = `${options.name} ${what}. The last lines of its log:\n${lastLines(log, 15)}`;
  return /address already in use/i.test(log) ? new PortTakenError(message) : new Error(message);
}
