// A benchmark as a program: its command line, the servers and peers it needs, its report, and what is removed at the end.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createUndo, undoWhenInterrupted } from '../examples/demo/undo.mjs';
import { prepare } from '../scripts/prepare.mjs';
import { lastLines, run as runCommand } from '../scripts/servers/command.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../scripts/servers/index.mjs';
import { UsageError } from './command-line.mjs';
import { writeReadme } from './readme-figures.mjs';

/**
 * @typedef {object} Surroundings
 * @property {import('../examples/demo/undo.mjs').Undo} undo what is run when the benchmark ends, however it does
 * @property {(message: string) => void} log tells of progress on standard error, as standard output is for the report
 */

/**
 * @template {{help: boolean, write: boolean}} Options
 * @typedef {object} Benchmark
 * @property {string} script the npm script that runs it
 * @property {string} help
 * @property {(args: readonly string[]) => Options} readOptions throws `UsageError`
 * @property {(options: Options) => import('../scripts/servers/index.mjs').ServerName[]} servers which it starts
 * @property {() => Promise<unknown>} [peers] installs or builds what only the benchmark needs
 * @property {(options: Options, surroundings: Surroundings) => Promise<string | {report: string, shown: string}>} measure
 *   gives the report, and what is shown instead of it, if that is something else
 */

/**
 * Runs a benchmark with a release build, and sets the exit code.
 *
 * @template {{help: boolean, write: boolean}} Options
 * @param {Benchmark<Options>} benchmark
 */
export async function runBenchmark(benchmark) {
  const undo = createUndo();
  undoWhenInterrupted(undo);
  try {
    const options = benchmark.readOptions(process.argv.slice(2));
    if (options.help) console.log(benchmark.help);
    else await run(benchmark, options, { undo, log: (message) => console.error(message) });
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error);
    process.exitCode = 1;
  } finally {
    await undo.run();
  }
}

/**
 * @template {{help: boolean, write: boolean}} Options
 * @param {Benchmark<Options>} benchmark
 * @param {Options} options
 * @param {Surroundings} surroundings
 */
async function run({ script, servers, peers, measure }, options, surroundings) {
  const { log } = surroundings;
  await prepare({ log, profile: 'release' });
  if (peers !== undefined) {
    log('preparing the peers');
    await peers();
  }
  const found = await ensureServers({ need: servers(options), log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const measured = await measure(options, surroundings);
  const { report, shown } = typeof measured === 'string' ? { report: measured, shown: measured } : measured;
  console.log(shown);
  if (options.write) writeReadme(script, report);
}

/**
 * Installs the peers of a folder that the package itself does not need, unless they are there.
 *
 * @param {URL} folder with a package.json and its lock file
 */
export async function installPeers(folder) {
  if (existsSync(new URL('node_modules', folder))) return;
  const outcome = await runCommand('npm', ['ci', '--no-audit', '--no-fund'], { cwd: fileURLToPath(folder) });
  if (outcome.code !== 0) throw new Error(`the peers cannot be installed:\n${lastLines(outcome.stderr, 20)}`);
}
