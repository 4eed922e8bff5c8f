// The columns of results, and the code that makes their rows.
import { generateDecoder, type RowDecoder } from './row-decoding.js';
import type { QueryField } from './types.js';
import { type TypeParser, type ValueParsers } from './value-parsers.js';

/** How a column's cells are packed; the numbers are those of src/multiverse/shape.rs. */
export const Packing = {
  text: 0,
  int: 1,
  oid: 2,
  bool: 3,
  double: 4,
  localTime: 5,
  instant: 6,
  date: 7,
  bytes: 8,
  json: 9,
} as const;

/** One of the ways to pack a column. */
export type Packing = (typeof Packing)[keyof typeof Packing];

/** A column as the native core describes it. */
type ColumnDescription = [name: string, tableID: number, columnID: number, dataTypeID: number, dataTypeSize: number, dataTypeModifier: number, packing: Packing];

/** A column of which rows are made. */
export interface ShapeColumn {
  readonly name: string;
  readonly packing: Packing;
  readonly dataTypeID: number;
  /** Of text that does not stay as it is. */
  readonly parser: TypeParser | undefined;
}

/** The columns of a result. */
export class Shape {
  readonly #fields: readonly QueryField[];
  readonly #packings: readonly Packing[];
  readonly #textColumns: readonly number[];
  readonly #parsers: ValueParsers;
  #columns: ShapeColumn[];
  #version = 0;
  #decodeObjects: RowDecoder | undefined;
  #decodeLists: RowDecoder | undefined;

  constructor(description: string, parsers: ValueParsers) {
    const columns = JSON.parse(description) as ColumnDescription[];
    this.#fields = columns.map(([name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier]) => ({
      name,
      tableID,
      columnID,
      dataTypeID,
      dataTypeSize,
      dataTypeModifier,
      format: 'text',
    }));
    this.#packings = columns.map((column) => column[6]);
    this.#textColumns = [...this.#packings.keys()].filter((at) => this.#packings[at] === Packing.text);
    this.#parsers = parsers;
    this.#columns = this.#readColumns();
  }

  /** What a result says of its columns, for one caller, who may change it. Every result has it, so that it is made the fastest way. */
  ownFields(): QueryField[] {
    const fields = this.#fields.slice();
    for (let at = 0; at < fields.length; at += 1) {
      const { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format } = fields[at] as QueryField;
      fields[at] = { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format };
    }
    return fields;
  }

  /** The code that makes rows, with the parsers that are set now. */
  decoder(asLists: boolean): RowDecoder {
    if (!this.isCurrent()) {
      this.#columns = this.#readColumns();
      this.#version += 1;
      this.#decodeObjects = undefined;
      this.#decodeLists = undefined;
    }
    if (asLists) return (this.#decodeLists ??= generateDecoder(this.#columns, true));
    return (this.#decodeObjects ??= generateDecoder(this.#columns, false));
  }

  /** Another one, once other parsers were taken up. */
  get version(): number {
    return this.#version;
  }

  #readColumns(): ShapeColumn[] {
    return this.#fields.map(({ name, dataTypeID }, at) => {
      const packing = this.#packings[at] as Packing;
      return { name, packing, dataTypeID, parser: packing === Packing.text ? this.#parsers.textParser(dataTypeID) : undefined };
    });
  }

  /** Whether the parsers of the last rows are still set: an application may set others at any time, also through node-postgres. */
  isCurrent(): boolean {
    for (const at of this.#textColumns) {
      const column = this.#columns[at] as ShapeColumn;
      if (this.#parsers.textParser(column.dataTypeID) !== column.parser) return false;
    }
    return true;
  }
}
