// Running other programs: look one up on PATH, run it to its end, keep what it printed.
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * What a finished program left behind.
 * @typedef {object} Outcome
 * @property {number} code exit code; 127 when the program could not be started, 128 when a signal ended it
 * @property {string} stdout
 * @property {string} stderr
 */

/**
 * @typedef {object} RunOptions
 * @property {NodeJS.ProcessEnv} [env] the whole environment; the caller's own by default
 * @property {string} [cwd]
 * @property {string} [input] written to the program's standard input
 * @property {number} [uid] user id to run as (needs root)
 * @property {number} [gid] group id to run as (needs root)
 * @property {number} [timeoutMs] after this time the program is killed
 */

/**
 * Runs a program to its end. Never throws: a program that cannot be started gives code 127.
 * @param {string} program name on PATH, or a path
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Outcome>}
 */
export function run(program, args, options = {}) {
  const { input, timeoutMs, ...spawnOptions } = options;
  return new Promise((resolve) => {
    let stdout = '';
    let stderr = '';
    const child = spawn(program, args, { ...spawnOptions, timeout: timeoutMs, killSignal: 'SIGKILL' });
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (stderr += text));
    // A program that ends without reading its input closes the pipe; its exit code tells the story.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: stderr || error.message }));
    child.on('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
  });
}

/**
 * Runs a program and gives its standard output.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<string>}
 * @throws {Error} naming the program and the last lines it printed, when it does not end with code 0
 */
export async function runOrThrow(program, args, options = {}) {
  const outcome = await run(program, args, options);
  if (outcome.code !== 0) {
    throw new Error(`${path.basename(program)} ended with code ${outcome.code}: ${lastLines(outcome.stderr || outcome.stdout)}`);
  }
  return outcome.stdout;
}

/**
 * The end of a text, for error messages.
 * @param {string} text
 * @param {number} [count] lines kept
 * @returns {string}
 */
export function lastLines(text, count = 8) {
  return text.trim().split('\n').slice(-count).join('\n');
}

/**
 * Whether the file exists and this user may execute it.
 * @param {string} file
 * @returns {Promise<boolean>}
 */
export async function isExecutable(file) {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/**
 * The first of the candidates that can be executed: paths as they are, bare names through PATH and
 * the sbin folders, which an ordinary user's PATH often lacks.
 * @param {readonly string[]} candidates
 * @returns {Promise<string | undefined>}
 */
export async function findProgram(candidates) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];
  for (const candidate of candidates) {
    const files = candidate.includes('/') ? [candidate] : folders.filter(Boolean).map((folder) => path.join(folder, candidate));
    for (const file of files) {
      if (await isExecutable(file)) return file;
    }
  }
  return undefined;
}
