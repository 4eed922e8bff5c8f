// Runs a command of a build or test step: its output goes to ours, a stop signal to us stops it too.
import { spawn } from 'node:child_process';
import { packageRoot } from './package-entries.mjs';

/**
 * @typedef {object} Outcome
 * @property {number} status the exit status; 127 when the command could not be started
 * @property {string} output what it wrote to standard output, when that was captured
 */

/**
 * Runs a command in the package's folder and waits for it.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {object} [options]
 * @param {Record<string, string | undefined>} [options.env] added to our own environment
 * @param {boolean} [options.capture] also return the standard output
 * @returns {Promise<Outcome>}
 */
export function runCommand(command, args, { env = {}, capture = false } = {}) {
  return new Promise((settle) => {
    const child = spawn(command, args, {
      cwd: packageRoot,
      env: { ...plainOutputEnvironment(), ...env },
      stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
      // On Windows npm is a .cmd file, which only a shell can start.
      shell: process.platform === 'win32' && command === 'npm',
    });
    const stopForwarding = forwardSignals(child);
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      stopForwarding();
      settle({ status: 127, output });
    });
    child.on('close', (code, signal) => {
      stopForwarding();
      if (signal !== null) console.error(`${command} was ended by ${signal}`);
      settle({ status: code ?? 1, output });
    });
  });
}

/**
 * Runs a JavaScript tool from node_modules, by its path there.
 *
 * @param {string} script
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string | undefined>, nodeArgs?: readonly string[] }} [options]
 */
export function runNodeTool(script, args, { env, nodeArgs = [] } = {}) {
  return runCommand(process.execPath, [...nodeArgs, `node_modules/${script}`, ...args], { env });
}

/**
 * A stop signal ends the running command first, so that it can stop its servers, and then us.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function forwardSignals(child) {
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  const handlers = signals.map((signal) => {
    const handler = () => {
      // A terminal sends Ctrl-C to the whole process group, so the child has it already.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
      child.once('close', () => process.exit(signal === 'SIGINT' ? 130 : 143));
    };
    process.on(signal, handler);
    return handler;
  });
  return () => signals.forEach((signal, index) => process.off(signal, /** @type {() => void} */ (handlers[index])));
}

/** Tools that see a CI service colour their output even when no terminal shows it. */
function plainOutputEnvironment() {
  if (process.stdout.isTTY) return process.env;
  const { FORCE_COLOR: _unused, ...environment } = process.env;
  return { ...environment, NO_COLOR: '1', CARGO_TERM_COLOR: 'never' };
}
