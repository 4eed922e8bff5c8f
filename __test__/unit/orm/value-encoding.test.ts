// Values on their way to the native core and back: nothing is lost, and what cannot cross is refused by its place.
import { ObjectId } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { decodeRows } from '../../../dist/orm/value-decoding.js';
import { encodeFilter, encodeOptions, encodeParams, encodeRecord, encodeValue } from '../../../dist/orm/value-encoding.js';

/** The value as it is after it has been written for the core and read back from it. */
function travelled(value: unknown): unknown {
  const [row] = decodeRows<{ v: unknown }>(`{"rows":[{"v":${encodeValue(value, 'value')}}],"columns":{"v":"tagged"}}`);
  return row?.v;
}

function filterOf(filter: unknown): unknown {
  return JSON.parse(encodeFilter(filter) ?? 'null');
}

describe('values that JSON lacks', () => {
  test.each([
    ['a date', new Date(-1)],
    ['bytes', Buffer.from([0, 255, 128])],
    ['a big integer', 2n ** 62n],
    ['NaN', NaN],
    ['an infinity', -Infinity],
    ['negative zero', -0],
  ])('%s comes back as it was, also within lists and objects', (_, value) => {
    expect(travelled(value)).toStrictEqual(value);
    expect(travelled({ list: [value, { deep: value }] })).toStrictEqual({ list: [value, { deep: value }] });
  });

  test.each([1e17, 2 ** 60, -(2 ** 63), 1e21])('the number %d beyond 2^53 is written as the double that it is', (value) => {
    expect(travelled({ list: [value] })).toStrictEqual({ list: [value] });
    expect(filterOf({ n: { $gt: value } })).toStrictEqual({ n: { $gt: value >= 1e21 ? value : { $$number: String(value) } } });
  });

  test('a large number keeps its digits where it names a row, and among the parameters of a statement', () => {
    expect(encodeValue(1e17, 'id')).toBe('100000000000000000');
    expect(encodeRecord({ id: 1e17 }, 'data')).toBe('{"id":100000000000000000}');
    expect(filterOf({ $or: [{ id: { $in: [1e17] } }] })).toStrictEqual({ $or: [{ id: { $in: [1e17] } }] });
    expect(encodeParams([1e17])).toBe('[100000000000000000]');
  });

  test('a Uint8Array view gives only the bytes that it covers', () => {
    expect(travelled(new Uint8Array([1, 2, 3, 4]).subarray(1, 3))).toStrictEqual(Buffer.from([2, 3]));
    expect(travelled(new Uint8Array([7]).buffer)).toStrictEqual(Buffer.from([7]));
  });

  test('other typed arrays become lists', () => {
    expect(travelled(new Float64Array([0.5, NaN]))).toStrictEqual([0.5, NaN]);
  });

  test('an object id becomes its hexadecimal digits', () => {
    const id = new ObjectId();
    expect(travelled({ id })).toStrictEqual({ id: id.toHexString() });
  });

  test('an object with toJSON is represented by what that gives', () => {
    expect(travelled({ price: { toJSON: () => ({ amount: NaN }) } })).toStrictEqual({ price: { amount: NaN } });
  });

  test('undefined is dropped from objects and null in lists', () => {
    expect(travelled({ a: undefined, b: [undefined, 1] })).toStrictEqual({ b: [null, 1] });
  });
});

describe('objects that look like something else', () => {
  test.each([
    { $$date: 5 },
    { $$object: { $$date: 5 } },
    { $$bytes: 'AA==', other: 1 },
    { 1: 'first', $$number: 'NaN' },
    { $$unknown: new Date(0) },
  ])('%j is not taken for a tag', (value) => {
    expect(travelled(value)).toStrictEqual(value);
  });

  test('a key __proto__ stays an entry', () => {
    const value = JSON.parse('{"__proto__":{"at":1},"b":2}') as Record<string, unknown>;
    value['b'] = new Date(1);
    const back = travelled(value) as object;
    expect(Object.keys(back)).toEqual(['__proto__', 'b']);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  });
});

test('values made at random come back as they were', () => {
  let state = 0x2545f491;
  const below = (bound: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
  const keys = ['a', '$$date', '$$object', '$set', '', 'é😀', '\u0000', 'toString'];
  const scalars = [null, true, 'x', '\u2028"\\', 1.5, 2 ** 53 + 2, 1e21, -0, NaN, Infinity, 5n, new Date(1e12), Buffer.from('é')];
  const make = (depth: number): unknown => {
    const kind = below(depth === 0 ? 1 : 3);
    if (kind === 0) return scalars[below(scalars.length)];
    if (kind === 1) return Array.from({ length: below(4) }, () => make(depth - 1));
    return Object.fromEntries(Array.from({ length: below(4) }, () => [keys[below(keys.length)], make(depth - 1)]));
  };
  for (let round = 0; round < 3000; round++) {
    const value = make(4);
    expect(travelled(value)).toStrictEqual(value);
  }
});

describe('what cannot cross', () => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle.list as unknown[]).push(cycle);
  const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => [inner], 1);

  test.each([
    ['a function', { a: { f: () => 1 } }, 'data.a.f: a function'],
    ['a symbol', { a: [Symbol('s')] }, 'data.a[0]: a symbol'],
    ['a promise', { a: Promise.resolve() }, 'data.a: a promise'],
    ['a Map', { a: new Map() }, 'data.a: a Map'],
    ['an invalid date', { at: new Date('?') }, 'data.at: an invalid date'],
    ['a regular expression', { a: /x/ }, 'data.a: a regular expression'],
    ['half a surrogate pair', { a: ['\ud800'] }, 'data.a[0]: text with an unpaired surrogate'],
    ['a cycle', cycle, 'data.list[0]: a reference to an object that holds it'],
    ['deep nesting', { deep }, 'nested deeper than 100 levels'],
  ])('%s is refused with its place', (_, data, message) => {
    expect(() => encodeRecord(data, 'data')).toThrow(
      expect.objectContaining({ message: expect.stringContaining(message), kind: 'Value', code: 'ERR_VALUE' }),
    );
  });

  test('an object that is used twice is no cycle', () => {
    const shared = { at: new Date(3) };
    expect(travelled({ a: shared, b: [shared, shared] })).toStrictEqual({ a: shared, b: [shared, shared] });
  });

  test.each([[null], [undefined], ['text'], [5], [[]]])('%j is no record', (data) => {
    expect(() => encodeRecord(data, 'data')).toThrow(/^data: expected an object, found /);
  });

  test('a list is no filter, and text is no list of parameters', () => {
    expect(() => encodeFilter([])).toThrow(expect.objectContaining({ kind: 'Filter' }));
    expect(() => encodeOptions('limit')).toThrow(expect.objectContaining({ kind: 'Filter' }));
    expect(() => encodeParams('x' as unknown as [])).toThrow(expect.objectContaining({ kind: 'Value' }));
  });
});

describe('a regular expression in a filter', () => {
  test('as the value of a field is a condition', () => {
    expect(filterOf({ name: /^a.b$/i })).toEqual({ name: { $regex: '^a.b$', $regexFlags: 'i' } });
    expect(filterOf({ $or: [{ a: /x/ }] })).toEqual({ $or: [{ a: { $regex: 'x', $regexFlags: '' } }] });
  });

  test('after $regex gives its source, and its flags where there are no others', () => {
    expect(filterOf({ a: { $regex: /x/i } })).toEqual({ a: { $regex: 'x', $regexFlags: 'i' } });
    expect(filterOf({ a: { $regex: /x/, $regexFlags: 'i' } })).toEqual({ a: { $regex: 'x', $regexFlags: 'i' } });
    expect(filterOf({ a: { $regex: /x/, $options: 'i' } })).toEqual({ a: { $regex: 'x', $options: 'i' } });
  });

  test('within $in or $ne is refused, because it would be compared as an object', () => {
    expect(() => encodeFilter({ a: { $in: [/x/] } })).toThrow('filter.a.$in[0]: a regular expression cannot stand here');
    expect(() => encodeFilter({ a: { $ne: /x/ } })).toThrow('filter.a.$ne: a regular expression cannot stand here');
  });

  test('does not change the filter object of the caller', () => {
    const filter = { a: { $regex: /x/i }, at: new Date(1) };
    encodeFilter(filter);
    expect(filter).toStrictEqual({ a: { $regex: /x/i }, at: new Date(1) });
  });
});

describe('rows of the core', () => {
  test('columns are finished as they say', () => {
    const text = `{"rows":[{"at":5,"n":"9007199254740993","b":"AP8=","x":1},{"at":"Infinity","n":"NaN","b":null},{"at":"+287168-08-24T16:00:00.000Z"}],
      "columns":{"at":"date","n":"number","b":"bytes"}}`;
    expect(decodeRows(text)).toStrictEqual([
      { at: new Date(5), n: 9007199254740993n, b: Buffer.from([0, 255]), x: 1 },
      { at: Infinity, n: NaN, b: null },
      { at: '+287168-08-24T16:00:00.000Z' },
    ]);
  });

  test('a column named __proto__ is a column', () => {
    const rows = decodeRows<object>('{"rows":[{"__proto__":5},{"a":1}],"columns":{"__proto__":"date"}}');
    expect(Object.getOwnPropertyDescriptor(rows[0], '__proto__')?.value).toStrictEqual(new Date(5));
    expect(Object.keys(rows[1] ?? {})).toEqual(['a']);
  });
});
