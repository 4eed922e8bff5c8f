// Cargo runs every test program through this one, which ends a program that has hung, tells where, and runs it once more.
import { spawn, spawnSync } from 'node:child_process';
import { basename } from 'node:path';

/** Minutes without a finished test after which a program counts as hung. The longest test takes about one and a half. */
const SILENCE_MINUTES = 10;

const [program = '', ...args] = process.argv.slice(2);
const first = await run();
// What hung for a fault of the machine passes now; what hangs again has a fault of its own.
const last = first.hung ? await run() : first;
process.exitCode = last.status;
if (last.status !== 0 && !last.hasResult) console.log(`${basename(program)} ended without a result, ${last.how}`);

/**
 * Runs the program and passes on what it prints.
 *
 * @returns {Promise<{ status: number, hung: boolean, hasResult: boolean, how: string }>}
 */
function run() {
  return new Promise((settle) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let [hung, hasResult] = [false, false];
    const end = () => {
      hung = true;
      console.error(`${program} has finished no test for ${SILENCE_MINUTES} minutes and is ended. Its threads:`);
      printStacks(child.pid);
      child.kill('SIGKILL');
    };
    const limit = SILENCE_MINUTES * 60_000;
    let watch = setTimeout(end, limit);
    child.stdout.on('data', (/** @type {Buffer} */ output) => {
      clearTimeout(watch);
      watch = setTimeout(end, limit);
      hasResult ||= output.includes('test result: ');
      process.stdout.write(output);
    });
    const stop = () => child.kill('SIGTERM');
    process.once('SIGTERM', stop);
    child.on('error', (error) => {
      console.error(`${program}: ${error.message}`);
      clearTimeout(watch);
      settle({ status: 127, hung: false, hasResult, how: error.message });
    });
    child.on('close', (code, signal) => {
      process.off('SIGTERM', stop);
      clearTimeout(watch);
      settle({ status: code ?? 1, hung, hasResult, how: hung ? 'hung' : signal === null ? `with status ${code}` : `by ${signal}` });
    });
  });
}

/**
 * Prints where every thread of a process is, where gdb is installed.
 *
 * @param {number | undefined} pid
 */
function printStacks(pid) {
  const { error } = spawnSync('gdb', ['-p', `${pid}`, '-batch', '-ex', 'thread apply all backtrace 24'], {
    stdio: ['ignore', 'inherit', 'ignore'],
    timeout: 120_000,
  });
  if (error !== undefined) console.error(`(they are not known: gdb: ${error.message})`);
}
