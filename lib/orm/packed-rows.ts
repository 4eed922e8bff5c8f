// Rows from the packed columns of the native core: typed numbers, and one text for all texts of a column.
import { instant } from '../instant.js';
import { type ColumnValues, rowBuilderOf } from './row-building.js';
import { finishTagged } from './value-decoding.js';

/** The names of the columns as a JSON list, the numbers, and the texts of those columns that have one. */
export type PackedRows = readonly [names: string, numbers: ArrayBuffer, ...texts: string[]];

/** How the values of a column are packed; the numbers are those of src/value/column.rs. */
const Packing = { nulls: 0, text: 1, int: 2, double: 3, bool: 4, moment: 5, json: 6, tagged: 7, intOrNull: 8, doubleOrNull: 9 } as const;

/** The words before the packings: how many rows, how many columns, the first double. */
const HEADER_WORDS = 3;

/** Adds the rows to a list. */
export function unpackRows(packed: PackedRows, rows: unknown[]): void {
  const [names, numbers] = packed;
  const columns = new ColumnReader(numbers, packed).readAll();
  rowBuilderOf(names)(columns.values, columns.count, rows);
}

/** Reads columns one after the other. */
class ColumnReader {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #texts: PackedRows;
  readonly #count: number;
  /** The first word, double and text of the next column. */
  #word: number;
  #double: number;
  #text = 2;

  constructor(numbers: ArrayBuffer, texts: PackedRows) {
    this.#words = new Int32Array(numbers);
    this.#doubles = new Float64Array(numbers);
    this.#texts = texts;
    this.#count = this.#words[0] as number;
    this.#word = HEADER_WORDS + (this.#words[1] as number);
    this.#double = this.#words[2] as number;
  }

  readAll(): { values: ColumnValues[]; count: number } {
    const values: ColumnValues[] = [];
    const columns = this.#words[1] as number;
    for (let column = 0; column < columns; column += 1) values.push(this.#read(this.#words[HEADER_WORDS + column] as number));
    return { values, count: this.#count };
  }

  #read(packing: number): ColumnValues {
    const count = this.#count;
    switch (packing) {
      case Packing.nulls:
        return new Array<null>(count).fill(null);
      case Packing.text:
        return textsOf(this.#texts[this.#text++] as string, this.#words, this.#skipWords(count), count);
      case Packing.int:
        return intsOf(this.#words, this.#skipWords(count), count);
      case Packing.double:
        return doublesOf(this.#doubles, this.#skipDoubles(count), count);
      case Packing.bool:
        return flagsOf(this.#words, this.#skipWords(count), count);
      case Packing.moment:
        return momentsOf(this.#doubles, this.#skipDoubles(count), count);
      case Packing.json:
        return JSON.parse(this.#texts[this.#text++] as string) as unknown[];
      case Packing.tagged:
        return (JSON.parse(this.#texts[this.#text++] as string) as unknown[]).map(finishTagged);
      case Packing.intOrNull: {
        const nulls = this.#skipWords((count + 31) >>> 5);
        return withNulls(intsOf(this.#words, this.#skipWords(count), count), this.#words, nulls);
      }
      case Packing.doubleOrNull: {
        const nulls = this.#skipWords((count + 31) >>> 5);
        return withNulls(doublesOf(this.#doubles, this.#skipDoubles(count), count), this.#words, nulls);
      }
      default:
        throw new Error(`the native addon wrote an unknown packing ${packing}: it is of another version than this code`);
    }
  }

  /** The first word of a column that has as many. */
  #skipWords(count: number): number {
    const first = this.#word;
    this.#word = first + count;
    return first;
  }

  #skipDoubles(count: number): number {
    const first = this.#double;
    this.#double = first + count;
    return first;
  }
}

function textsOf(text: string, words: Int32Array, first: number, count: number): unknown[] {
  const values = new Array<unknown>(count);
  let start = 0;
  for (let row = 0; row < count; row += 1) {
    const end = words[first + row] as number;
    // What an earlier row has as well is not in the text again.
    values[row] = end >= 0 ? text.substring(start, (start = end)) : end === -1 ? null : values[-2 - end];
  }
  return values;
}

function intsOf(words: Int32Array, first: number, count: number): unknown[] {
  const values = new Array<unknown>(count);
  for (let row = 0; row < count; row += 1) values[row] = words[first + row];
  return values;
}

function doublesOf(doubles: Float64Array, first: number, count: number): unknown[] {
  const values = new Array<unknown>(count);
  for (let row = 0; row < count; row += 1) values[row] = doubles[first + row];
  return values;
}

function flagsOf(words: Int32Array, first: number, count: number): unknown[] {
  const values = new Array<unknown>(count);
  for (let row = 0; row < count; row += 1) {
    const word = words[first + row] as number;
    values[row] = word < 0 ? null : word === 1;
  }
  return values;
}

function momentsOf(doubles: Float64Array, first: number, count: number): unknown[] {
  const values = new Array<unknown>(count);
  for (let row = 0; row < count; row += 1) {
    const time = doubles[first + row] as number;
    values[row] = Number.isNaN(time) ? null : instant(time);
  }
  return values;
}

function withNulls(values: unknown[], words: Int32Array, nulls: number): unknown[] {
  for (let row = 0; row < values.length; row += 1) {
    if (((words[nulls + (row >>> 5)] as number) & (1 << (row & 31))) !== 0) values[row] = null;
  }
  return values;
}
