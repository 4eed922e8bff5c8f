// Many rows, made in turns as they are read, so that other work of the application is not held up.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NativeRowBatches } from '../../native.js';
import { decodeRows } from './value-decoding.js';

/** Milliseconds after which other work gets its turn. */
const LONGEST_TURN = 8;

/** The rows of all batches. */
export async function collectRows<T>(batches: NativeRowBatches): Promise<T[]> {
  const rows: T[] = [];
  let turn = performance.now();
  for (;;) {
    const next = batches.next();
    const waits = next instanceof Promise;
    const text = waits ? await next : next;
    if (text === null) return rows;
    if (waits) turn = performance.now();
    for (const row of decodeRows<T>(text)) rows.push(row);
    if (performance.now() - turn < LONGEST_TURN) continue;
    await nextTurn();
    turn = performance.now();
  }
}
