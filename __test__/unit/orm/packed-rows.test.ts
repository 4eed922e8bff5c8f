// Rows from packed columns.
import { expect, test } from 'vitest';
import { type PackedRows, unpackRows } from '../../../dist/orm/packed-rows.js';

/** Packs as src/value/packed.rs does. */
function packed(names: string[], words: number[], doubles: number[], texts: string[]): PackedRows {
  const first = Math.ceil(words.length / 2);
  const numbers = new ArrayBuffer((first + doubles.length) * 8);
  new Int32Array(numbers).set(words);
  new Int32Array(numbers)[2] = first;
  new Float64Array(numbers).set(doubles, first);
  return [JSON.stringify(names), numbers, ...texts];
}

function rowsOf(...parts: Parameters<typeof packed>): unknown[] {
  const rows: unknown[] = [];
  unpackRows(packed(...parts), rows);
  return rows;
}

test('every packing gives the values that it stands for', () => {
  const names = ['gone', 'text', 'int', 'double', 'flag', 'moment', 'json', 'tagged', 'some', 'half'];
  const packings = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const words = [2, 10, 0, ...packings, 3, -1, -7, 2147483647, 1, -1, 2, 5, 0, 1];
  const doubles = [0.5, -0, 1000, Number.NaN, 0, Number.NaN];
  const texts = ['a😀', '[{"b":1},null]', '[{"$$date":5},[{"$$bigint":"9007199254740993"}]]'];
  expect(rowsOf(names, words, doubles, texts)).toStrictEqual([
    { gone: null, text: 'a😀', int: -7, double: 0.5, flag: true, moment: new Date(1000), json: { b: 1 }, tagged: new Date(5), some: 5, half: null },
    { gone: null, text: null, int: 2147483647, double: -0, flag: null, moment: null, json: null, tagged: [9007199254740993n], some: null, half: Number.NaN },
  ]);
});

test('which of many numbers are null is told by the bit of each', () => {
  const values = Array.from({ length: 40 }, (_, at) => at);
  const rows = rowsOf(['n'], [40, 1, 0, 8, 1 << 31, 1 << 7, ...values], [], []) as { n: number | null }[];
  expect(rows.map(({ n }) => n)).toEqual(values.map((value) => (value === 31 || value === 39 ? null : value)));
});

test('infinite moments are numbers', () => {
  expect(rowsOf(['at'], [2, 1, 0, 5], [Infinity, -Infinity], [])).toEqual([{ at: Infinity }, { at: -Infinity }]);
});

test('a packing of another version is refused', () => {
  expect(() => rowsOf(['n'], [1, 1, 0, 77], [], [])).toThrow('another version');
});
