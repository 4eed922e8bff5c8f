// Rows from packed cells: objects of one shape, made by code that is generated for that shape.
import { instant } from '../instant.js';
import { localDay, localTime } from './local-time.js';
import { Packing, type ShapeColumn } from './shapes.js';
import type { TypeParser } from './value-parsers.js';

/** The packed cells of some rows. */
export interface PackedRows {
  readonly count: number;
  /** The words of all rows; `word` is the first. */
  readonly words: Int32Array;
  readonly word: number;
  readonly doubles: Float64Array;
  readonly double: number;
  readonly bytes: Buffer;
  readonly byte: number;
  /** All cells of text, one after the other; empty without such columns. */
  readonly text: string;
  /** The JSON cells of all rows, as one list. */
  readonly json: readonly unknown[];
}

/** Adds rows to a list. What a parser of the application throws comes out. */
export type RowDecoder = (packed: PackedRows, rows: unknown[]) => void;

/** What generated code calls. */
interface Runtime {
  readonly localTime: typeof localTime;
  readonly localDay: typeof localDay;
  readonly instant: typeof instant;
  readonly copyOf: typeof copyOf;
  readonly parsers: readonly (TypeParser | undefined)[];
}

/** Bytes that lie where the next rows will be written. */
function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}

/** Where the cells of a row lie. */
interface Layout {
  readonly words: number;
  readonly doubles: number;
  readonly columns: readonly CellPlace[];
}

/** Where a cell lies in its row: a word or a double, and the bit that says that it is null. */
interface CellPlace {
  readonly at: number;
  readonly nullWord: number;
  readonly nullBit: number;
}

/** The same as src/multiverse/pack.rs writes: the words of null bits, then a word or double for each column. */
function layoutOf(columns: readonly ShapeColumn[]): Layout {
  const nullBits = columns.filter(({ packing }) => hasNullBit(packing)).length;
  let words = Math.ceil(nullBits / 32);
  let doubles = 0;
  let bit = 0;
  const places = columns.map(({ packing }) => {
    const place = { at: 0, nullWord: bit >>> 5, nullBit: bit & 31 };
    if (hasNullBit(packing)) bit += 1;
    if (isDouble(packing)) place.at = doubles++;
    else if (packing !== Packing.json) place.at = words++;
    return place;
  });
  return { words, doubles, columns: places };
}

function hasNullBit(packing: Packing): boolean {
  return packing !== Packing.text && packing !== Packing.bytes && packing !== Packing.json;
}

function isDouble(packing: Packing): boolean {
  return packing === Packing.double || packing === Packing.localTime || packing === Packing.instant;
}

/** The code for some columns. */
export function generateDecoder(columns: readonly ShapeColumn[], asLists: boolean): RowDecoder {
  const layout = layoutOf(columns);
  const runtime = { localTime, localDay, instant, copyOf, parsers: columns.map(({ parser }) => parser) };
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- only numbers and JSON text go in
    const make = new Function('runtime', sourceOf(columns, layout, asLists)) as (runtime: Runtime) => RowDecoder;
    return make(runtime);
  } catch (error) {
    // Node can be told to make no code from text.
    if (error instanceof EvalError) return interpretingDecoder(columns, layout, asLists);
    throw error;
  }
}

/** An object literal gives all rows one hidden class at once, which makes them several times as fast to make. */
function sourceOf(columns: readonly ShapeColumn[], layout: Layout, asLists: boolean): string {
  const cells = columns.map((column, at) => cellSource(column.packing, layout.columns[at] as CellPlace, column.parser === undefined ? undefined : `p${at}`));
  const row = asLists
    ? `[${cells.join(', ')}]`
    : `{ ${cells.map((cell, at) => `${propertySource(columns[at] as ShapeColumn)}: ${cell}`).join(', ')} }`;
  const parsers = columns.flatMap(({ parser }, at) => (parser === undefined ? [] : [`const p${at} = runtime.parsers[${at}];`]));
  return `'use strict';
const { localTime, localDay, instant, copyOf } = runtime;
${parsers.join('\n')}
return (packed, rows) => {
  const { count, words, doubles, bytes, byte, text, json } = packed;
  let w = packed.word, d = packed.double, s = 0, b = byte, j = 0, e = 0;
  for (let i = 0; i < count; i += 1) {
    rows.push(${row});
    w += ${layout.words};
    d += ${layout.doubles};
  }
};`;
}

/** As JSON text, a name cannot end its string; in brackets, `__proto__` is a property like others. */
function propertySource({ name }: ShapeColumn): string {
  return name === '__proto__' ? '["__proto__"]' : JSON.stringify(name);
}

function cellSource(packing: Packing, { at, nullWord, nullBit }: CellPlace, parser: string | undefined): string {
  const word = `words[w + ${at}]`;
  const double = `doubles[d + ${at}]`;
  const unlessNull = (value: string) => `(words[w + ${nullWord}] & ${1 << nullBit}) !== 0 ? null : ${value}`;
  const cell = 'text.substring(s, (s = e))';
  switch (packing) {
    case Packing.text:
      return `(e = ${word}) < 0 ? null : ${parser === undefined ? cell : `${parser}(${cell})`}`;
    case Packing.int:
      return unlessNull(word);
    case Packing.oid:
      return unlessNull(`${word} >>> 0`);
    case Packing.bool:
      return unlessNull(`${word} === 1`);
    case Packing.double:
      return unlessNull(double);
    case Packing.localTime:
      return unlessNull(`localTime(${double})`);
    case Packing.instant:
      return unlessNull(`instant(${double})`);
    case Packing.date:
      return unlessNull(`localDay(${word})`);
    case Packing.bytes:
      return `(e = ${word}) < 0 ? null : copyOf(bytes, b, (b = byte + e))`;
    case Packing.json:
      return 'json[j++]';
  }
}

/** Where the reading of text, bytes and JSON stands. */
interface Cursor {
  word: number;
  double: number;
  text: number;
  byte: number;
  json: number;
}

/** The same without generated code, and slower. */
function interpretingDecoder(columns: readonly ShapeColumn[], layout: Layout, asLists: boolean): RowDecoder {
  return (packed, rows) => {
    const cursor: Cursor = { word: packed.word, double: packed.double, text: 0, byte: packed.byte, json: 0 };
    for (let row = 0; row < packed.count; row += 1) {
      const cells = columns.map((column, at) => readCell(packed, cursor, column, layout.columns[at] as CellPlace));
      rows.push(asLists ? cells : Object.fromEntries(columns.map(({ name }, at) => [name, cells[at]])));
      cursor.word += layout.words;
      cursor.double += layout.doubles;
    }
  };
}

function readCell(packed: PackedRows, cursor: Cursor, { packing, parser }: ShapeColumn, { at, nullWord, nullBit }: CellPlace): unknown {
  if (packing === Packing.json) return packed.json[cursor.json++];
  if (hasNullBit(packing) && ((packed.words[cursor.word + nullWord] as number) & (1 << nullBit)) !== 0) return null;
  const word = packed.words[cursor.word + at] as number;
  const double = packed.doubles[cursor.double + at] as number;
  switch (packing) {
    case Packing.text: {
      if (word < 0) return null;
      const cell = packed.text.substring(cursor.text, (cursor.text = word));
      return parser === undefined ? cell : parser(cell);
    }
    case Packing.int:
      return word;
    case Packing.oid:
      return word >>> 0;
    case Packing.bool:
      return word === 1;
    case Packing.double:
      return double;
    case Packing.localTime:
      return localTime(double);
    case Packing.instant:
      return instant(double);
    case Packing.date:
      return localDay(word);
    case Packing.bytes:
      return word < 0 ? null : copyOf(packed.bytes, cursor.byte, (cursor.byte = packed.byte + word));
  }
}
