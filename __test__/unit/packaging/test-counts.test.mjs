// The totals of `npm test`: what counts as passed, what as failed, and what never is a success.
import { expect, test } from 'vitest';
import { countCargoTests, countReportedTests, judge } from '../../../scripts/test-counts.mjs';

/**
 * @param {string} status
 * @param {string[]} tests
 */
const file = (status, tests) => ({
  name: 'a.test.mjs',
  status,
  assertionResults: tests.map((each) => ({ fullName: `is ${each}`, status: each })),
});

test('the results of all test binaries of Cargo are summed', () => {
  const output = [
    'running 3 tests',
    'test a::adds ... ok',
    'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    'test a::subtracts ... FAILED',
    'test b - should panic ... FAILED',
    'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s',
  ].join('\n');
  const failures = ['a::subtracts', 'b - should panic'];
  expect(countCargoTests(output)).toEqual({ passed: 7, failed: 2, failures });
});

test('a program of tests that ended before its tests did counts as failed, and is named', () => {
  const output = 'running 90 tests\ntest a::adds ... ok\n\ntopology-0a1b ended without a result, by SIGSEGV\n';
  const failures = ['topology-0a1b ended without a result, by SIGSEGV'];
  expect(countCargoTests(output)).toEqual({ passed: 0, failed: 1, failures });
});

test('an ignored test of Cargo counts as failed', () => {
  const output = 'test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s';
  expect(countCargoTests(output)).toMatchObject({ passed: 1, failed: 2 });
});

test('a skipped test counts as failed', () => {
  const report = JSON.stringify({ testResults: [file('passed', ['passed', 'skipped', 'todo', 'pending'])] });
  expect(countReportedTests(report)).toMatchObject({ passed: 1, failed: 3 });
});

test('a file that does not load counts as one failed test', () => {
  const report = JSON.stringify({ testResults: [file('failed', []), file('passed', ['passed', 'passed'])] });
  expect(countReportedTests(report)).toEqual({ passed: 2, failed: 1, failures: ['a.test.mjs'] });
});

test('a failed file counts its failed tests, and not itself on top', () => {
  const report = JSON.stringify({ testResults: [file('failed', ['passed', 'failed', 'failed'])] });
  expect(countReportedTests(report)).toEqual({
    passed: 1,
    failed: 2,
    failures: ['a.test.mjs: is failed', 'a.test.mjs: is failed'],
  });
});

test('a run that ends with an error fails, even if all its tests passed', () => {
  expect(judge({ passed: 5, failed: 0, failures: [] }, 1)).toMatchObject({ passed: 5, failed: 1, remark: 'ended with status 1' });
});

test('a run without a test fails', () => {
  expect(judge({ passed: 0, failed: 0, failures: [] }, 0)).toMatchObject({ passed: 0, failed: 1, remark: 'ran no test' });
});

test('a run with passed tests only is a success', () => {
  expect(judge({ passed: 5, failed: 0, failures: [] }, 0)).toEqual({ passed: 5, failed: 0, failures: [] });
});
