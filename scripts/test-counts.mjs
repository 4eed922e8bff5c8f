// How many tests passed and failed: read from the summaries of Cargo, and from the JSON reports of Vitest and Jest.

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 */

/**
 * Sums the `test result:` lines of a `cargo test` run. An ignored test counts as failed: every test is to run.
 *
 * @param {string} output
 * @returns {Counts}
 */
export function countCargoTests(output) {
  const counts = { passed: 0, failed: 0 };
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
  /** @type {{ testResults: { status: string, assertionResults: { status: string }[] }[] }} */
  const { testResults } = JSON.parse(report);
  const counts = { passed: 0, failed: 0 };
  for (const { status, assertionResults } of testResults) {
    const passed = assertionResults.filter((test) => test.status === 'passed').length;
    const failed = assertionResults.length - passed;
    counts.passed += passed;
    counts.failed += status === 'failed' ? Math.max(failed, 1) : failed;
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
