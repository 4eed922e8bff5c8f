// The demo's data sets hold against the real files: keys, columns, and values that PostgreSQL's types take.
import { describe, expect, it } from 'vitest';
import { DATASETS } from '../../../examples/demo/datasets.mjs';
import { copyField, createTable } from '../../../examples/demo/load.mjs';

const ROWS = { airports: 3_376, zipcodes: 42_049, movies: 3_201, earthquakes: 1_707, flights: 231_083 };

describe.each(DATASETS.map((dataset) => ({ dataset, table: dataset.table })))('$table', ({ dataset }) => {
  const rows = dataset.readRows();
  const columns = Object.keys(dataset.columns);

  it('has the number of rows that the package is known for', () => {
    expect(rows).toHaveLength(ROWS[/** @type {keyof typeof ROWS} */ (dataset.table)]);
  });

  it('has a key that is in every row and unique', () => {
    const keys = rows.map((row) => row[dataset.key]);
    expect(keys.filter((key) => key === null || key === undefined || key === '')).toEqual([]);
    expect(new Set(keys).size).toBe(rows.length);
  });

  it('has in every row the columns of its table and no others', () => {
    const expected = [...columns].sort().join();
    expect(rows.filter((row) => Object.keys(row).sort().join() !== expected)).toEqual([]);
    expect(rows.filter((row) => Object.values(row).includes(/** @type {any} */ (undefined)))).toEqual([]);
  });

  it('has only values that fit their columns', () => {
    for (const [column, type] of Object.entries(dataset.columns)) {
      const values = new Set(rows.map((row) => row[column] ?? null));
      expect([...values].filter((value) => value !== null && !fits(value, type)), `${column} ${type}`).toEqual([]);
    }
  });
});

/**
 * @param {unknown} value
 * @param {string} type
 */
function fits(value, type) {
  if (type === 'text') return typeof value === 'string';
  if (type === 'boolean') return typeof value === 'boolean';
  if (type === 'integer') return Number.isInteger(value) && Math.abs(/** @type {number} */ (value)) < 2 ** 31;
  if (type === 'double precision' || type.startsWith('numeric')) return Number.isFinite(value);
  if (type === 'date') return typeof value === 'string' && new Date(value).toISOString().startsWith(`${value}T`);
  if (type === 'timestamptz') return value instanceof Date && !Number.isNaN(value.getTime());
  if (type === 'text[]') return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
  return type === 'jsonb' && typeof value === 'object';
}

describe('what is not known', () => {
  it('is NULL and not the letters NA', () => {
    const airports = DATASETS[0]?.readRows() ?? [];
    expect(airports.find(({ iata }) => iata === 'CLD')).toMatchObject({ city: null, state: null, country: 'USA' });
    expect(airports.flatMap((row) => Object.values(row))).not.toContain('NA');
  });
});

describe('a title that the file holds as a number', () => {
  it('is text', () => {
    const movies = DATASETS.find(({ table }) => table === 'movies')?.readRows() ?? [];
    expect(movies.map(({ title }) => title)).toContain('1776');
  });
});

describe('a field for COPY', () => {
  it.each([
    ['NULL', null, 'text', '\\N'],
    ['text with tab, line breaks and backslash', 'a\tb\nc\rd\\N', 'text', 'a\\tb\\nc\\rd\\\\N'],
    ['a number', 1.5, 'double precision', '1.5'],
    ['a boolean', false, 'boolean', 'false'],
    ['a point in time', new Date(0), 'timestamptz', '1970-01-01T00:00:00.000Z'],
    ['an array', ['a', 'b"c', 'd\\e'], 'text[]', '{"a","b\\\\"c","d\\\\\\\\e"}'],
    ['JSON', { a: 'x\n', b: [1] }, 'jsonb', '{"a":"x\\\\n","b":[1]}'],
    ['a JSON array', [1, 'two'], 'jsonb', '[1,"two"]'],
  ])('is %s', (_, value, type, expected) => {
    expect(copyField(/** @type {any} */ (value), type)).toBe(expected);
  });
});

describe('the statement that makes a table', () => {
  it('quotes names and has the key', () => {
    const columns = { 'a"b': 'integer', c: 'text' };
    const dataset = { table: 'odd "name"', key: 'a"b', columns, readRows: () => [] };
    expect(createTable(dataset)).toBe('CREATE TABLE "odd ""name""" ("a""b" integer, "c" text, PRIMARY KEY ("a""b"))');
  });
});
