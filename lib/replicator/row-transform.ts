// The function of an application through which the rows of a rule pass, as the core calls it: with many rows at a time.

import { decodeRows } from '../orm/value-decoding.js';
import { encodeValue } from '../orm/value-encoding.js';
import type { RowChange, RowTransform } from './types.js';

type Row = Record<string, unknown>;

/** What is known of the rows of a batch; their keys and the rows themselves follow each other in the text of rows. */
interface Header {
  collection: string;
  operations: RowChange['operation'][];
  /** How many milliseconds a row may take. */
  limitMs: number;
}

/** What became of a row, as `src/rule_transform.rs` reads it. */
type Outcome = { kind: 'kept'; removed: string[] } | { kind: 'dropped' } | { kind: 'failed'; reason: string };

/**
 * The function as the core calls it. Rows pass through one after the other, in their order; what is thrown is the outcome of its
 * row. Only values that have changed go back, so that the others keep what JavaScript has no form for.
 */
export function transformer(rule: string, transform: RowTransform): (header: string, rows: string) => Promise<string> {
  return async (header, rows) => {
    const { collection, operations, limitMs } = JSON.parse(header) as Header;
    const records = decodeRows<Row>(rows).values();
    const next = (): Row => records.next().value ?? {};
    const outcomes: Outcome[] = [];
    const changed: string[] = [];
    for (const operation of operations) {
      try {
        const [key, row] = [next(), next()];
        const before = fieldTexts(row);
        const after = await within(limitMs, transform({ rule, collection, operation, key, row }));
        outcomes.push(after === null ? { kind: 'dropped' } : { kind: 'kept', removed: difference(before, rowOf(after), changed) });
      } catch (error) {
        outcomes.push({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
      }
    }
    return `{"outcomes":${JSON.stringify(outcomes)},"rows":[${changed.join(',')}]}`;
  };
}

/** What comes of a promise, unless that takes too long. */
async function within<T>(limitMs: number, outcome: T | PromiseLike<T>): Promise<T> {
  // Rows that are ready need no timer.
  if (typeof (outcome as Partial<PromiseLike<T>> | null)?.then !== 'function') return outcome;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}

function rowOf(returned: unknown): Row {
  if (typeof returned === 'object' && returned !== null && !Array.isArray(returned)) return returned as Row;
  throw new TypeError(`it returned ${returned === undefined ? 'nothing' : typeof returned}; return the row, or null to leave it out`);
}

function fieldTexts(row: Row): Map<string, string> {
  return new Map(Object.entries(row).map(([name, value]) => [name, encodeValue(value, name)]));
}

/** Adds the text of the fields that have other values than before to `changed`; the names of those that are gone. */
function difference(before: ReadonlyMap<string, string>, row: Row, changed: string[]): string[] {
  const fields = Object.entries(row).filter(([, value]) => value !== undefined);
  const differing = fields.filter(([name, value]) => encodeValue(value, name) !== before.get(name));
  changed.push(encodeValue(Object.fromEntries(differing), 'row'));
  const kept = new Set(fields.map(([name]) => name));
  return [...before.keys()].filter((name) => !kept.has(name));
}
