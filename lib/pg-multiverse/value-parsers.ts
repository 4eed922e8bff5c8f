// How values become JavaScript values: the parsers of node-postgres, and those that an application sets in their place.
import pgTypes from 'pg-types';
import * as textParsers from 'pg-types/lib/textParsers';
import { configError } from '../errors.js';

/** Makes a JavaScript value from the server's text. */
export type TypeParser<T = unknown> = (text: string) => T;

/** Whatever finds parsers: the `types` of node-postgres, one of its clients, or an application's own object. */
export interface TypeParsers {
  getTypeParser(oid: number, format?: 'text' | 'binary'): TypeParser;
}

/** The types that come in a binary format, or otherwise without their text, unless the application parses their text. */
const PARSED_WITHOUT_TEXT = [16, 17, 21, 23, 26, 114, 701, 1082, 1114, 1184, 3802];
const INT8 = 20;
/** The name of `JSON.parse.bind(JSON)`. */
const JSON_PARSER = 'bound parse';
/** No type has this object id. */
const NO_TYPE = 0;

/** The parsers that node-postgres sets up. */
const ORIGINALS = originalParsers();

function originalParsers(): Map<number, unknown> {
  const parsers = new Map<number, unknown>();
  textParsers.init((oid, parser) => parsers.set(Number(oid), parser));
  // Those of JSON are made anew each time: what is set is theirs unless the application was earlier.
  for (const oid of [114, 3802]) {
    const parser = (pgTypes as TypeParsers).getTypeParser(oid, 'text');
    if (parser.name === JSON_PARSER) parsers.set(oid, parser);
  }
  return parsers;
}

/** What text without a parser of its own goes through: it stays text. */
const NO_PARSER = (pgTypes as TypeParsers).getTypeParser(NO_TYPE, 'text');

/** The parsers of one PgMultiverse. */
export class ValueParsers implements TypeParsers {
  readonly #own = new Map<number, TypeParser>();
  readonly #base: TypeParsers;

  /** @param base the application's own object, the parsers of node-postgres by default */
  constructor(base: TypeParsers = pgTypes) {
    if (typeof (base as Partial<TypeParsers> | null)?.getTypeParser !== 'function') throw configError('types: expected an object with getTypeParser(oid, format)');
    this.#base = base;
  }

  /**
   * Sets the parser of a type, as node-postgres does: with the format `text` or without one. Values come as text, so a
   * parser of the format `binary` is never called.
   */
  setTypeParser(oid: number, parser: TypeParser): void;
  setTypeParser(oid: number, format: 'text' | 'binary', parser: TypeParser): void;
  setTypeParser(oid: number, format: 'text' | 'binary' | TypeParser, parser?: TypeParser): void {
    const chosen = typeof format === 'function' ? format : parser;
    if (typeof chosen !== 'function') throw configError('setTypeParser: expected a function');
    if (format !== 'binary') this.#own.set(Number(oid), chosen);
  }

  getTypeParser(oid: number, format: 'text' | 'binary' = 'text'): TypeParser {
    const own = format === 'text' ? this.#own.get(oid) : undefined;
    return own ?? this.#base.getTypeParser(oid, format);
  }

  /** The parser of a type's text; `undefined` if it stays as it is. */
  textParser(oid: number): TypeParser | undefined {
    const parser = this.getTypeParser(oid);
    // The original parser of int8 gives its text.
    return parser === NO_PARSER || (oid === INT8 && parser === ORIGINALS.get(INT8)) ? undefined : parser;
  }

  /** Which of the types that would come without their text the application parses itself. */
  typesWithOwnParser(): number[] {
    return PARSED_WITHOUT_TEXT.filter((oid) => this.#isParsedByApplication(oid));
  }

  /** The same as bits, which are quick to compare. */
  ownParserBits(): number {
    let bits = 0;
    for (let at = 0; at < PARSED_WITHOUT_TEXT.length; at += 1) {
      if (this.#isParsedByApplication(PARSED_WITHOUT_TEXT[at] as number)) bits |= 1 << at;
    }
    return bits;
  }

  #isParsedByApplication(oid: number): boolean {
    return this.getTypeParser(oid) !== ORIGINALS.get(oid);
  }
}

/**
 * The parsers that every PgMultiverse starts from. They are those of the package `pg-types`, which node-postgres uses as
 * well: where both packages share one copy of it, what is set here or there holds for both.
 */
export const types: typeof pgTypes = pgTypes;

/** Sets the parser of a type for every PgMultiverse that has none of its own for it. */
export function setTypeParser<T>(oid: number, parser: TypeParser<T>): void;
export function setTypeParser<T>(oid: number, format: 'text' | 'binary', parser: TypeParser<T>): void;
export function setTypeParser(oid: number, format: 'text' | 'binary' | TypeParser, parser?: TypeParser): void {
  const chosen = typeof format === 'function' ? format : parser;
  if (typeof chosen !== 'function') throw configError('setTypeParser: expected a function');
  pgTypes.setTypeParser(oid, typeof format === 'function' ? 'text' : format, chosen);
}
