// The command pgm as a process: in a pipe, or in a terminal.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PGM = fileURLToPath(new URL('../../../../dist/cli/pgm.js', import.meta.url));

/**
 * Runs the command to its end, its output in pipes.
 *
 * @param {string} cwd
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<{ code: number | null, output: string, errors: string }>}
 */
export function pgm(cwd, args, env = {}) {
  return outcomeOf(spawn(process.execPath, [PGM, ...args], { cwd, env: plain(env), stdio: ['ignore', 'pipe', 'pipe'] }));
}

/**
 * Runs the command, whose reader goes away after the first output. Gives its exit code.
 *
 * @param {string} cwd
 * @param {readonly string[]} args
 * @returns {Promise<number | null>}
 */
export async function pgmReadOnce(cwd, args) {
  const child = spawn(process.execPath, [PGM, ...args], { cwd, env: plain({}), stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.once('data', () => child.stdout.destroy());
  return (await outcomeOf(child)).code;
}

/**
 * Runs the command to its end in a terminal, which `script` of util-linux makes, and types `input`.
 *
 * @param {string} cwd
 * @param {readonly string[]} args
 * @param {string} [input]
 * @param {string} [more] what the shell is told after the command
 * @returns {Promise<{ code: number | null, output: string, errors: string }>}
 */
export function pgmInTerminal(cwd, args, input, more = '') {
  const quoted = [process.execPath, PGM, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ') + more;
  const child = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], { cwd, env: plain({ TERM: 'xterm' }), stdio: ['pipe', 'pipe', 'pipe'] });
  // The terminal stays open until the command has ended.
  if (input !== undefined) child.stdin.write(input);
  return outcomeOf(child);
}

/**
 * The environment without what decides about colours.
 *
 * @param {Record<string, string>} env
 */
function plain(env) {
  const { NO_COLOR: _noColour, FORCE_COLOR: _forceColour, TERM: _term, PGM_CONFIG: _config, ...rest } = process.env;
  return { ...rest, ...env };
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<{ code: number | null, output: string, errors: string }>}
 */
function outcomeOf(child) {
  let [output, errors] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (errors += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output, errors }));
  });
}
