// The parts of the test run: which command runs each, which servers it needs, and where its counts come from.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from './package-entries.mjs';
import { runCommand, runNodeTool } from './run-command.mjs';
import { countCargoTests, countReportedTests, judge } from './test-counts.mjs';

/** @typedef {import('./test-counts.mjs').Counts & { remark?: string }} Result */
/** @typedef {'rust' | 'unit' | 'server' | 'smoke'} Group */

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {Group} group what `--only` selects it by
 * @property {boolean} needsServers
 * @property {(env: Record<string, string>) => Promise<Result>} run
 */

/** @type {readonly Suite[]} */
export const SUITES = [
  { name: 'rust', group: 'rust', needsServers: true, run: runCargo },
  { name: 'unit', group: 'unit', needsServers: false, run: (env) => runVitest(['--project', 'unit'], env) },
  { name: 'server', group: 'server', needsServers: true, run: (env) => runVitest(['--project', 'server'], env) },
  { name: 'smoke (vitest, threads)', group: 'smoke', needsServers: false, run: (env) => runSmoke('threads', env) },
  { name: 'smoke (vitest, forks)', group: 'smoke', needsServers: false, run: (env) => runSmoke('forks', env) },
  { name: 'smoke (jest)', group: 'smoke', needsServers: false, run: runJest },
];

/** The names that `--only` takes. */
export const GROUPS = [...new Set(SUITES.map(({ group }) => group))];

/** @param {Record<string, string>} env */
async function runCargo(env) {
  // Cargo starts the programs in the folders of their crates, so the path is absolute.
  const runner = JSON.stringify([process.execPath, join(packageRoot, 'scripts/test-program.mjs')]);
  const args = ['test', '--workspace', '--no-fail-fast', '--config', `target.'cfg(all())'.runner=${runner}`];
  const { status, output } = await runCommand('cargo', args, { env, capture: true });
  return judge(countCargoTests(output), status);
}

/**
 * @param {string} pool
 * @param {Record<string, string>} env
 */
function runSmoke(pool, env) {
  return runVitest(['--config', 'vitest.smoke.config.mjs', '--pool', pool], env);
}

/**
 * @param {readonly string[]} args
 * @param {Record<string, string>} env
 */
function runVitest(args, env) {
  return withReport((report) => {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    return runNodeTool('vitest/vitest.mjs', ['run', ...reporters, ...args], { env });
  });
}

/**
 * Jest loads ES modules only with Node.js' own module loader for contexts.
 *
 * @param {Record<string, string>} env
 */
function runJest(env) {
  const nodeArgs = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  return withReport((report) => runNodeTool('jest/bin/jest.js', ['--json', `--outputFile=${report}`], { env, nodeArgs }));
}

/**
 * Runs a test runner that writes a JSON report to the given path, and counts what it reports.
 *
 * @param {(report: string) => Promise<import('./run-command.mjs').Outcome>} run
 * @returns {Promise<Result>}
 */
async function withReport(run) {
  const folder = mkdtempSync(join(tmpdir(), 'replicaverse-test-report-'));
  const report = join(folder, 'report.json');
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // A stop signal ends the process without coming back here.
  process.once('exit', remove);
  try {
    const { status } = await run(report);
    return judge(readReport(report), status);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** @param {string} report */
function readReport(report) {
  try {
    return countReportedTests(readFileSync(report, 'utf8'));
  } catch {
    // A runner that fails before the first test writes no report; its exit status and the missing tests tell.
    return { passed: 0, failed: 0, failures: [] };
  }
}
