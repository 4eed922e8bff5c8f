// Events that wait for a listener's next flush: one per row, each holding what is still to be done.
import type { EntityRecord } from '../types/query.js';

/** What is to be done at the target. */
export type CDCOperation = 'create' | 'update' | 'delete';

/** A change of one row that has not reached the target yet. */
export interface CDCEvent {
  op: CDCOperation;
  /** The entity. */
  collection: string;
  id: string;
  /** The row as it was last seen at the source; none when it is deleted. */
  data?: EntityRecord;
  /** When the latest change was captured. */
  timestamp: Date;
  /** Whether a flush has tried it before, so that the target may hold a part of it. */
  attempted: boolean;
}

/** Waiting events, in the order in which they are to be applied. */
export class PendingEvents {
  readonly #events = new Map<string, CDCEvent>();

  get size(): number {
    return this.#events.size;
  }

  /** How many of them no flush has tried yet. */
  get fresh(): number {
    let fresh = 0;
    for (const { attempted } of this.#events.values()) if (!attempted) fresh += 1;
    return fresh;
  }

  /** Adds a later change of a row to what is waiting. */
  add(event: CDCEvent): void {
    const key = keyOf(event);
    const earlier = this.#events.get(key);
    const merged = earlier === undefined ? event : merge(earlier, event);
    // A row keeps its place before those that refer to it; once it is to be deleted, its place is after them.
    const moves = merged === null || (earlier !== undefined && (merged.op === 'delete') !== (earlier.op === 'delete'));
    if (moves) this.#events.delete(key);
    if (merged !== null) this.#events.set(key, merged);
  }

  /** Takes everything out. */
  takeAll(): CDCEvent[] {
    const events = [...this.#events.values()];
    this.#events.clear();
    return events;
  }

  /** Puts events back that failed, before what has come since and merged with it. */
  putBack(failed: readonly CDCEvent[]): void {
    const since = this.takeAll();
    for (const event of failed) this.#events.set(keyOf(event), { ...event, attempted: true });
    for (const event of since) this.add(event);
  }
}

/** The one event that has the effect of two; `null` when together they have none. */
function merge(earlier: CDCEvent, later: CDCEvent): CDCEvent | null {
  const attempted = earlier.attempted || later.attempted;
  if (later.op === 'delete') {
    // A row that the target has never been given needs no deletion there.
    return earlier.op === 'create' && !attempted ? null : { ...later, attempted };
  }
  // After a deletion that has not been applied the target still has the row, which then only changes.
  const op = earlier.op === 'create' ? 'create' : 'update';
  return { ...later, op, attempted };
}

function keyOf({ collection, id }: CDCEvent): string {
  return `${collection}\0${id}`;
}
