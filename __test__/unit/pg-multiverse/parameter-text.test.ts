// Parameters are written as node-postgres writes them.
import { expect, test } from 'vitest';
import { parameterContent } from '../../../dist/pg-multiverse/parameter-text.js';

const { prepareValue } = require('pg/lib/utils') as { prepareValue: (this: void, value: unknown) => unknown };

class Money {
  constructor(readonly cents: number) {}
  toPostgres(prepare: (value: unknown) => unknown) {
    return [String(prepare(this.cents)), 'c"\\'];
  }
}

test.each([
  ['text', 'é"\\\u0000'],
  ['an empty text', ''],
  ['numbers', 1.5],
  ['-0', -0],
  ['NaN', NaN],
  ['a large number', 1e21],
  ['a bigint', 9_007_199_254_740_993n],
  ['true', true],
  ['null', null],
  ['undefined', undefined],
  ['a symbol', Symbol('s')],
  ['a date', new Date(1_700_000_000_123)],
  ['a date before 1 AD', new Date(-62_200_000_000_000)],
  ['a date of the year 0', new Date(-62_167_219_200_000)],
  ['a date after 9999', new Date(400_000_000_000_000)],
  ['a document', { a: [1, { b: 'x' }], d: new Date(0) }],
  ['an object with toJSON', { toJSON: () => 7 }],
  ['an object whose JSON is nothing', { toJSON: () => undefined }],
  ['an object with toPostgres', new Money(5)],
  ['an array', [1, 'a"b\\c', null, undefined, true, '', 'NULL', [2, [3]], { a: 1 }, new Date(0), 5n]],
  ['an empty array', []],
  ['an array with holes', new Array<unknown>(2)],
  ['an array of bytes', [Buffer.from([0, 255]), new Uint16Array([1])]],
])('%s', (_, value) => {
  expect(parameterContent(value)).toEqual(prepareValue(value) ?? null);
});

test('bytes stay bytes', () => {
  const bytes = Buffer.from([1, 2, 3, 4]);
  expect(parameterContent(bytes)).toBe(bytes);
  expect(parameterContent(new Uint8Array(bytes.buffer, bytes.byteOffset + 1, 2))).toEqual(new Uint8Array([2, 3]));
  expect(parameterContent(new DataView(bytes.buffer, bytes.byteOffset, 2))).toEqual(new Uint8Array([1, 2]));
});

test('an invalid date is left for the server to refuse', () => {
  expect(parameterContent(new Date(NaN))).toContain('NaN');
});

test('an object that leads to itself is refused', () => {
  const value = { toPostgres: (): unknown => value };
  expect(() => parameterContent(value)).toThrow('circular reference detected');
});
