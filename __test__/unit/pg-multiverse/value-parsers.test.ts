// Parsers of types, an application's own among them.
import { afterEach, expect, test } from 'vitest';
import { types, type TypeParsers, ValueParsers } from '../../../dist/pg-multiverse/value-parsers.js';

const TIMESTAMPTZ = 1184;
const INT8 = 20;
const original = types.getTypeParser(TIMESTAMPTZ) as (text: string) => unknown;
afterEach(() => types.setTypeParser(TIMESTAMPTZ, original));

test('nothing is parsed by the application at first', () => {
  const parsers = new ValueParsers();
  expect(parsers.typesWithOwnParser()).toEqual([]);
  expect(parsers.ownParserBits()).toBe(0);
  expect(parsers.textParser(INT8)).toBeUndefined();
  expect(parsers.textParser(25)).toBeUndefined();
});

test('a parser that node-postgres is given holds here as well', () => {
  const parsers = new ValueParsers();
  const parser = (text: string) => text;
  types.setTypeParser(TIMESTAMPTZ, parser);
  expect(parsers.typesWithOwnParser()).toEqual([TIMESTAMPTZ]);
  expect(parsers.textParser(TIMESTAMPTZ)).toBe(parser);
});

test('a parser of one instance is not seen by others', () => {
  const [one, other] = [new ValueParsers(), new ValueParsers()];
  one.setTypeParser(INT8, Number);
  one.setTypeParser(17, 'text', String);
  expect(one.textParser(INT8)).toBe(Number);
  expect(one.typesWithOwnParser()).toEqual([17]);
  expect(other.textParser(INT8)).toBeUndefined();
});

test('an object of the application finds parsers', () => {
  const parsers = new ValueParsers({ getTypeParser: (oid) => (oid === 23 ? (text: string) => `int ${text}` : (types as TypeParsers).getTypeParser(oid)) });
  expect(parsers.typesWithOwnParser()).toEqual([23]);
  expect(() => new ValueParsers({} as never)).toThrow('types: expected');
});
