// The last events, and those who want to hear of each new one.
import type { ActivityEvent } from './types.js';

/** Without the moment, which is that of the telling. */
export type Told = ActivityEvent extends infer E ? (E extends ActivityEvent ? Omit<E, 'ts'> : never) : never;

/** Keeps the last events and tells listeners of each. */
export class Activity {
  readonly #events: ActivityEvent[] = [];
  readonly #listeners = new Set<(event: ActivityEvent) => void>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** The events that are kept, the oldest first. */
  get events(): readonly ActivityEvent[] {
    return this.#events;
  }

  tell(told: Told): void {
    const event: ActivityEvent = { ...told, ts: Date.now() };
    this.#events.push(event);
    if (this.#events.length > this.#size) this.#events.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** Calls a listener for each event from now on; the function that is given ends that. */
  listen(listener: (event: ActivityEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
