// How many tests passed, and which failed: read from what Cargo prints, and from the JSON reports of Vitest and Jest.

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {string[]} failures what failed, by name: tests, and programs and files that ended before their tests did
 */

/**
 * Sums the `test result:` lines of a `cargo test` run. An ignored test counts as failed: every test is to run. So does a
 * program that ended without such a line.
 *
 * @param {string} output
 * @returns {Counts}
 */
export function countCargoTests(output) {
  const tests = [...output.matchAll(/^test (.+) \.\.\. FAILED$/gm)].map(([, name]) => `${name}`);
  // What test-program.mjs says of a program that was ended, or ended itself, before its tests did.
  const programs = [...output.matchAll(/^(\S+ ended without a result, .+)$/gm)].map(([, what]) => `${what}`);
  const counts = { passed: 0, failed: programs.length, failures: [...tests, ...programs] };
  const summary = /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm;
  for (const [, passed, failed, ignored] of output.matchAll(summary)) {
    counts.passed += Number(passed);
    counts.failed += Number(failed) + Number(ignored);
  }
  return counts;
}

/**
 * Reads the report that Vitest and Jest write with their `json` reporter. A skipped or unfinished test counts as
 * failed, and so does a file that failed without one of its tests failing: it did not load, or its hooks threw.
 *
 * @param {string} report
 * @returns {Counts}
 */
export function countReportedTests(report) {
  /** @type {{ testResults: { name: string, status: string, assertionResults: { fullName: string, status: string }[] }[] }} */
  const { testResults } = JSON.parse(report);
  /** @type {Counts} */
  const counts = { passed: 0, failed: 0, failures: [] };
  for (const { name, status, assertionResults } of testResults) {
    const failed = assertionResults.filter((test) => test.status !== 'passed');
    counts.passed += assertionResults.length - failed.length;
    counts.failed += status === 'failed' ? Math.max(failed.length, 1) : failed.length;
    if (failed.length > 0) counts.failures.push(...failed.map(({ fullName }) => `${name}: ${fullName}`));
    else if (status === 'failed') counts.failures.push(name);
  }
  return counts;
}

/**
 * The counts of a part together with its exit status: a run that failed, or that ran nothing, is never a success.
 *
 * @param {Counts} counts
 * @param {number} status
 * @returns {Counts & { remark?: string }}
 */
export function judge(counts, status) {
  if (counts.failed > 0) return counts;
  if (status !== 0) return { ...counts, failed: 1, remark: `ended with status ${status}` };
  if (counts.passed === 0) return { ...counts, failed: 1, remark: 'ran no test' };
  return counts;
}
