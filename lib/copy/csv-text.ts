// Rows as CSV text and back, for rows that are held in memory.
import type { LoadedRow } from './loaded-rows.js';

/** A cell, and whether it stood in quotes. */
interface Cell {
  text: string;
  isQuoted: boolean;
}

/** The rows of a text whose first record names their fields. */
export function parseCsv(text: string, separator: string): LoadedRow[] {
  const [header, ...records] = recordsOf(text, separator);
  if (header === undefined) return [];
  return records.map((record) => Object.fromEntries(header.map(({ text: name }, place) => [name, valueOf(record[place])])));
}

/** Rows as text; `undefined` when there are none. Fields are those of all rows. */
export function csvOf(rows: readonly LoadedRow[], separator: string): string | undefined {
  if (rows.length === 0) return undefined;
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = rows.map((row) => names.map((name) => cellOf(row[name], separator)).join(separator));
  return `${[names.map((name) => quotedIfNeeded(name, separator)).join(separator), ...lines].join('\n')}\n`;
}

function recordsOf(text: string, separator: string): Cell[][] {
  const records: Cell[][] = [];
  let record: Cell[] = [];
  let place = 0;
  while (place < text.length) {
    const cell = cellAt(text, place, separator);
    record.push({ text: cell.text, isQuoted: cell.isQuoted });
    place = cell.end;
    if (text.startsWith(separator, place)) {
      place += separator.length;
      // A separator at the very end stands before one more cell, which is empty.
      if (place < text.length) continue;
      record.push({ text: '', isQuoted: false });
    }
    if (text[place] === '\r') place += 1;
    if (text[place] === '\n') place += 1;
    if (record.length > 1 || record[0]?.text !== '' || record[0].isQuoted) records.push(record);
    record = [];
  }
  return records;
}

function cellAt(text: string, start: number, separator: string): Cell & { end: number } {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && !text.startsWith(separator, end) && text[end] !== '\n' && text[end] !== '\r') end += 1;
    return { text: text.slice(start, end), isQuoted: false, end };
  }
  let content = '';
  let place = start + 1;
  for (;;) {
    const quote = text.indexOf('"', place);
    if (quote === -1) return { text: content + text.slice(place), isQuoted: true, end: text.length };
    content += text.slice(place, quote);
    if (text[quote + 1] !== '"') return { text: content, isQuoted: true, end: quote + 1 };
    content += '"';
    place = quote + 2;
  }
}

/** Only text that would come back as it was is taken for something else. */
function valueOf(cell: Cell | undefined): unknown {
  if (cell === undefined) return null;
  const { text, isQuoted } = cell;
  if (isQuoted) return text;
  if (text === '' || text === 'null') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d/.test(text) && String(Number(text)) === text ? Number(text) : text;
}

function cellOf(value: unknown, separator: string): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return valueOf({ text: value, isQuoted: false }) === value ? quotedIfNeeded(value, separator) : quoted(value);
  if (value instanceof Date) return value.toISOString();
  return quotedIfNeeded(typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? ''), separator);
}

function quotedIfNeeded(text: string, separator: string): string {
  return text.includes(separator) || /["\r\n]/.test(text) ? quoted(text) : text;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
