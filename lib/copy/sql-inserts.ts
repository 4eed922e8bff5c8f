// Rows as INSERT statements and back, for rows that are held in memory.
import { ReplicaverseError } from '../errors.js';
import type { LoadedRow, LoadedRows } from './loaded-rows.js';

/** Rows of one statement at the most. */
const ROWS_PER_INSERT = 100;

/** Comments, texts, quoted names, numbers, words, and single characters. */
const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_][\w$]*|[^\s]/g;

/** Rows of a table as statements; an empty text for none. Columns are those of all rows. */
export function insertsOf(table: string, rows: readonly LoadedRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  let text = '';
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    const tuples = rows.slice(from, from + ROWS_PER_INSERT).map((row) => `  (${columns.map((column) => literal(row[column])).join(', ')})`);
    text += `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) VALUES\n${tuples.join(',\n')};\n\n`;
  }
  return text;
}

/**
 * The rows of every `INSERT` of a text, by the names of the tables.
 *
 * @throws {ReplicaverseError} with code `ERR_FORMAT`, naming the file and the table.
 */
export function parseInserts(text: string, file: string): LoadedRows {
  const reader = new Reader((text.match(TOKEN) ?? []).filter((token) => !token.startsWith('--') && !token.startsWith('/*')), file);
  const data: LoadedRows = new Map();
  while (!reader.isAtEnd) {
    if (!reader.takesWord('INSERT')) reader.skipStatement();
    else {
      const { table, rows } = reader.insert();
      data.set(table, [...(data.get(table) ?? []), ...rows]);
    }
  }
  return data;
}

/** Goes through the tokens of a dump. */
class Reader {
  #place = 0;

  constructor(
    readonly tokens: readonly string[],
    readonly file: string,
  ) {}

  get isAtEnd(): boolean {
    return this.#place >= this.tokens.length;
  }

  takesWord(word: string): boolean {
    const isIt = this.tokens[this.#place]?.toUpperCase() === word;
    if (isIt) this.#place += 1;
    return isIt;
  }

  skipStatement(): void {
    while (!this.isAtEnd && this.tokens[this.#place] !== ';') this.#place += 1;
    this.#place += 1;
  }

  /** What follows the word `INSERT`. */
  insert(): { table: string; rows: LoadedRow[] } {
    while (!this.takesWord('INTO')) this.#next('INTO');
    let table = nameOf(this.#next('a table'));
    // Of a name with its schema, the table is the last part.
    while (this.takesWord('.')) table = nameOf(this.#next('a table'));
    const columns = this.#tuple(nameOf);
    if (!this.takesWord('VALUES')) throw this.#malformed(`VALUES, in the INSERT into ${table}`);
    const rows: LoadedRow[] = [];
    do {
      const values = this.#tuple(valueOf);
      if (values.length !== columns.length) throw this.#malformed(`${columns.length} values, in the INSERT into ${table}`);
      rows.push(Object.fromEntries(columns.map((column, place) => [column, values[place]])));
    } while (this.takesWord(','));
    this.skipStatement();
    return { table, rows };
  }

  #tuple<T>(each: (token: string) => T): T[] {
    const items: T[] = [];
    if (!this.takesWord('(')) throw this.#malformed('(');
    do items.push(each(this.#next('a value')));
    while (this.takesWord(','));
    if (!this.takesWord(')')) throw this.#malformed('a constant, then , or )');
    return items;
  }

  #next(expected: string): string {
    const token = this.tokens[this.#place];
    if (token === undefined) throw this.#malformed(expected);
    this.#place += 1;
    return token;
  }

  #malformed(expected: string): ReplicaverseError {
    const found = this.tokens[this.#place] ?? 'the end';
    return new ReplicaverseError(`${this.file}: expected ${expected}, found ${found.slice(0, 40)}`, { kind: 'Format', code: 'ERR_FORMAT' });
  }
}

function nameOf(token: string): string {
  const mark = token[0];
  if (mark === '[') return token.slice(1, -1);
  if (mark === '"' || mark === '`' || mark === "'") return token.slice(1, -1).replaceAll(mark + mark, mark);
  return token;
}

function valueOf(token: string): unknown {
  if (token.startsWith("'")) return nameOf(token);
  const word = token.toUpperCase();
  if (word === 'NULL') return null;
  if (word === 'TRUE' || word === 'FALSE') return word === 'TRUE';
  return /^-?\d/.test(token) ? Number(token) : token;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof Date) return literal(value.toISOString());
  const text = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? '');
  return `'${text.replaceAll("'", "''")}'`;
}
