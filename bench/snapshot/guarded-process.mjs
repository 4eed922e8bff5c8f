// Programs that do not outlive the benchmark, run to their end.
import { spawn } from 'node:child_process';
import { guardian } from '../../__test__/support/guardian.mjs';
import { lastLines } from '../../scripts/servers/command.mjs';

/**
 * @param {string} program
 * @param {readonly string[]} args visible to every user of the machine
 * @param {{input?: string, env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<string>} its standard output
 * @throws {Error} with the last lines that it printed, when it does not end with code 0
 */
export async function runGuarded(program, args, { input = '', env = process.env } = {}) {
  const child = spawn(program, args, { detached: true, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const { pid } = child;
  if (pid !== undefined) guardian().addProcess(pid);
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (errors += text));
  // A program that ends without reading its input closes the pipe; its exit code tells the story.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`${program} ended with code ${code}: ${lastLines(errors)}`);
    return output;
  } finally {
    if (pid !== undefined) guardian().removeProcess(pid);
  }
}
