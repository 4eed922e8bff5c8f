// Rows from the native core's JSON text: one JSON.parse, then only the columns that it did not get right.

/** How a column is finished after JSON.parse (see src/value/mod.rs). */
type Finish = 'date' | 'number' | 'bytes' | 'tagged';

/** Rows that may differ in their fields. */
interface Records {
  rows: Row[];
  columns?: Record<string, Finish>;
}

type Row = Record<string, unknown>;

const FINISHERS: Readonly<Record<Finish, (content: unknown) => unknown>> = {
  date: finishDate,
  number: finishNumber,
  bytes: finishBytes,
  tagged: finishTagged,
};

/** The rows of a text that the core wrote. */
export function decodeRows<T>(text: string): T[] {
  const { rows, columns } = JSON.parse(text) as Records;
  if (columns !== undefined) {
    for (const [name, finish] of Object.entries(columns)) finishColumn(rows, name, FINISHERS[finish]);
  }
  return rows as T[];
}

/** The row of a text that the core wrote of a single one, `null` if there is none. */
export function decodeRow<T>(text: string): T | null {
  return finishRow<T>(JSON.parse(text) as unknown[]);
}

/** The row of the list that stands for it, `null` if there is none. */
export function finishRow<T>(parsed: readonly unknown[]): T | null {
  if (parsed.length === 0) return null;
  const row = parsed[0] as Row;
  for (let at = 1; at < parsed.length; at += 2) {
    const name = parsed[at] as string;
    row[name] = FINISHERS[parsed[at + 1] as Finish](row[name]);
  }
  return row as T;
}

function finishColumn(rows: Row[], name: string, finish: (content: unknown) => unknown): void {
  for (const row of rows) {
    // A row may lack the column, and then `__proto__` would reach its prototype.
    if (row[name] != null && Object.hasOwn(row, name)) row[name] = finish(row[name]);
  }
}

/** Milliseconds; text for what JavaScript has no date for. */
function finishDate(content: unknown): unknown {
  if (typeof content === 'number') return new Date(content);
  return content === 'Infinity' || content === '-Infinity' ? Number(content) : content;
}

/** Text is an integer beyond 2^53, NaN or an infinity. */
function finishNumber(content: unknown): unknown {
  if (typeof content !== 'string') return content;
  return /^-?\d+$/.test(content) ? BigInt(content) : Number(content);
}

function finishBytes(content: unknown): unknown {
  return Buffer.from(content as string, 'base64');
}

/** Replaces tags at any depth, in place. */
export function finishTagged(content: unknown): unknown {
  if (typeof content !== 'object' || content === null) return content;
  if (Array.isArray(content)) return finishItems(content);
  const [key, ...others] = Object.keys(content);
  if (key?.startsWith('$$') && others.length === 0) return finishTag(key, (content as Row)[key]);
  return finishEntries(content);
}

function finishTag(tag: string, content: unknown): unknown {
  switch (tag) {
    case '$$date':
      return finishDate(content);
    case '$$bytes':
      return finishBytes(content);
    case '$$bigint':
      return BigInt(content as string);
    case '$$number':
      return Number(content);
    case '$$object':
      return finishEntries(content as object);
    default:
      throw new Error(`the native addon wrote an unknown tag ${tag}: it is of another version than this code`);
  }
}

function finishItems(items: unknown[]): unknown[] {
  for (let index = 0; index < items.length; index++) items[index] = finishTagged(items[index]);
  return items;
}

function finishEntries<T extends object>(holder: T): T {
  // Every key is an own property here, also `__proto__`, so that assignment keeps it one.
  for (const [key, value] of Object.entries(holder)) (holder as Row)[key] = finishTagged(value);
  return holder;
}
