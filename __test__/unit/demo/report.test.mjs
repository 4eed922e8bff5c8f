// What the demo prints about a synchronisation and a comparison.
import { describe, expect, it } from 'vitest';
import { describeSync, describeVerdict, isSuccess, verdictLine } from '../../../examples/demo/report.mjs';

const EQUAL = { collection: 'movies', rows: 3_201, equal: 3_201, different: 0, missing: 0, extra: 0, failures: [] };
const DETAIL = { collection: 'movies', created: 3_000, updated: 200, deleted: 7, skipped: 1, errors: 0, failures: [], conversions: [] };

/** @param {object[]} collections */
function verdict(collections, equal = true) {
  return /** @type {any} */ ({ ruleName: 'r', equal, collections });
}

/** @param {object[]} details */
function stats(details, errors = 0) {
  return /** @type {any} */ ({ ruleName: 'r', lastSync: new Date(), recordsSynced: 0, errors, duration: 1_500, details });
}

describe('the statistics of a synchronisation', () => {
  it('are a table with a line per collection and a total', () => {
    const flights = { ...DETAIL, collection: 'flights', created: 231_083, updated: 0, deleted: 0, skipped: 0 };
    expect(describeSync(stats([DETAIL, flights]))).toEqual([
      '  collection  created  updated  deleted  skipped  errors',
      '  movies        3,000      200        7        1       0',
      '  flights     231,083        0        0        0       0',
      '  234,284 rows in 1.5 s (156,189 rows/s), 0 errors',
    ]);
  });

  it('list conversions', () => {
    const conversions = [{ field: 'time', reason: 'digits below the millisecond are cut', rows: 12 }];
    expect(describeSync(stats([{ ...DETAIL, conversions }])).at(-1)).toBe(
      '  converted movies.time: digits below the millisecond are cut (12 rows)',
    );
  });

  it('name the first failures and count the others', () => {
    const failures = Array.from({ length: 100 }, (_, index) => ({ key: String(index), reason: 'too long' }));
    const lines = describeSync(stats([{ ...DETAIL, errors: 250, failures }], 250)).filter((line) => line.includes('failed'));
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('  failed movies 0: too long');
    expect(lines[10]).toBe('  failed movies: and 240 more');
  });

  it('name a collection that failed as a whole', () => {
    const failures = [{ key: '', reason: 'table without a primary key' }];
    expect(describeSync(stats([{ ...DETAIL, errors: 1, failures }], 1)).at(-1)).toBe('  failed movies: table without a primary key');
  });
});

describe('the verdict per table', () => {
  it('says equal or not', () => {
    const failures = [{ key: '17', reason: 'column "title" differs' }];
    const unequal = { ...EQUAL, collection: 'zipcodes', equal: 3_198, different: 1, missing: 2, extra: 0, failures };
    expect(describeVerdict(verdict([EQUAL, unequal], false))).toEqual([
      '  collection   rows  equal  different  missing  extra  verdict',
      '  movies      3,201  3,201          0        0      0  equal',
      '  zipcodes    3,201  3,198          1        2      0  NOT EQUAL',
      '  failed zipcodes 17: column "title" differs',
    ]);
  });
});

describe('the last line', () => {
  const good = { stats: stats([DETAIL]), verdict: verdict([EQUAL, { ...EQUAL, collection: 'x', rows: 1, equal: 1 }]) };

  it('is one sentence when all targets are equal', () => {
    const outcomes = [{ target: 'MongoDB', ...good }, { target: 'SQLite', ...good }];
    expect(verdictLine(outcomes)).toBe('Verdict: 3,202 rows in 2 tables are equal on MongoDB and SQLite.');
    expect(isSuccess(outcomes)).toBe(true);
  });

  it('keeps apart targets that saw different states of the source', () => {
    const other = { stats: stats([DETAIL]), verdict: verdict([{ ...EQUAL, rows: 1, equal: 1 }]) };
    const outcomes = [{ target: 'MongoDB', ...good }, { target: 'SQLite', ...other }];
    expect(verdictLine(outcomes)).toBe('Verdict: 3,202 rows in 2 tables are equal on MongoDB; 1 row in 1 table is equal on SQLite.');
  });

  it('says which target is not equal', () => {
    const bad = { stats: stats([DETAIL]), verdict: verdict([EQUAL, { ...EQUAL, equal: 3_200, missing: 1 }], false) };
    const outcomes = [{ target: 'MongoDB', ...good }, { target: 'SQLite', ...bad }];
    expect(verdictLine(outcomes)).toBe(
      'Verdict: 3,202 rows in 2 tables are equal on MongoDB; 1 of 2 tables NOT EQUAL (rows: 0 different, 1 missing, 0 extra), 0 errors on SQLite.',
    );
    expect(isSuccess(outcomes)).toBe(false);
  });

  it('is no success when a row failed, even if the comparison passes', () => {
    const outcomes = [{ target: 'SQLite', stats: stats([DETAIL], 1), verdict: good.verdict }];
    expect(verdictLine(outcomes)).toContain('1 error on SQLite');
    expect(isSuccess(outcomes)).toBe(false);
  });

  it('is no success when there was nothing to compare', () => {
    const outcomes = [{ target: 'SQLite', stats: stats([]), verdict: verdict([]) }];
    expect(verdictLine(outcomes)).toBe('Verdict: there was NOTHING TO COMPARE on SQLite.');
    expect(isSuccess(outcomes)).toBe(false);
  });
});
