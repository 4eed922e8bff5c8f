// The totals of `npm test`: what counts as passed, what as failed, and what never is a success.
import { expect, test } from 'vitest';
import { countCargoTests, countReportedTests, judge } from '../../../scripts/test-counts.mjs';

/**
 * @param {string} status
 * @param {string[]} tests
 */
const file = (status, tests) => ({ status, assertionResults: tests.map((each) => ({ status: each })) });

test('the results of all test binaries of Cargo are summed', () => {
  const output = [
    'running 3 tests',
    'test a::adds ... ok',
    'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s',
  ].join('\n');
  expect(countCargoTests(output)).toEqual({ passed: 7, failed: 2 });
});

test('an ignored test of Cargo counts as failed', () => {
  const output = 'test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s';
  expect(countCargoTests(output)).toEqual({ passed: 1, failed: 2 });
});

test('a skipped test counts as failed', () => {
  const report = JSON.stringify({ testResults: [file('passed', ['passed', 'skipped', 'todo', 'pending'])] });
  expect(countReportedTests(report)).toEqual({ passed: 1, failed: 3 });
});

test('a file that does not load counts as one failed test', () => {
  const report = JSON.stringify({ testResults: [file('failed', []), file('passed', ['passed', 'passed'])] });
  expect(countReportedTests(report)).toEqual({ passed: 2, failed: 1 });
});

test('a failed file counts its failed tests, and not itself on top', () => {
  const report = JSON.stringify({ testResults: [file('failed', ['passed', 'failed', 'failed'])] });
  expect(countReportedTests(report)).toEqual({ passed: 1, failed: 2 });
});

test('a run that ends with an error fails, even if all its tests passed', () => {
  expect(judge({ passed: 5, failed: 0 }, 1)).toEqual({ passed: 5, failed: 1, remark: 'ended with status 1' });
});

test('a run without a test fails', () => {
  expect(judge({ passed: 0, failed: 0 }, 0)).toEqual({ passed: 0, failed: 1, remark: 'ran no test' });
});

test('a run with passed tests only is a success', () => {
  expect(judge({ passed: 5, failed: 0 }, 0)).toEqual({ passed: 5, failed: 0 });
});
