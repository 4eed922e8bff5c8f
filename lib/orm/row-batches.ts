// Many rows, made in turns as they are read, so that other work of the application is not held up.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NativeRowBatches } from '../../native.js';
import { type PackedRows, unpackRows } from './packed-rows.js';
import { decodeRows } from './value-decoding.js';

/** Milliseconds after which other work gets its turn. */
const LONGEST_TURN = 8;

/** The rows of one batch. */
export function rowsOf<T>(batch: string | PackedRows): T[] {
  const rows: T[] = [];
  addRows(batch, rows);
  return rows;
}

/** The rows of all batches. */
export async function collectRows<T>(batches: NativeRowBatches): Promise<T[]> {
  const rows: T[] = [];
  let turn = performance.now();
  for (;;) {
    const next = batches.next();
    const waits = next instanceof Promise;
    const batch = waits ? await next : next;
    if (batch === null) return rows;
    if (waits) turn = performance.now();
    addRows(batch, rows);
    if (performance.now() - turn < LONGEST_TURN) continue;
    await nextTurn();
    turn = performance.now();
  }
}

function addRows<T>(batch: string | PackedRows, rows: T[]): void {
  if (typeof batch !== 'string') unpackRows(batch, rows);
  else for (const row of decodeRows<T>(batch)) rows.push(row);
}
