// The last events, and those who want to hear of each new one.
import type { ActivityEvent } from './types.js';

/** Without the moment, which is that of the telling. */
export type Told = ActivityEvent extends infer E ? (E extends ActivityEvent ? Omit<E, 'ts'> : never) : never;

type Listener = (event: ActivityEvent) => unknown;

/** Keeps the last events and tells listeners of each. What a listener throws, or rejects with, is told to the others as an event. */
export class Activity {
  readonly #events: ActivityEvent[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** The events that are kept, the oldest first. */
  get events(): readonly ActivityEvent[] {
    return this.#events;
  }

  tell(told: Told): void {
    this.#tell(told, this.#listeners);
  }

  /** Calls a listener for each event from now on; the function that is given ends that. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(told: Told, listeners: ReadonlySet<Listener>): void {
    const event: ActivityEvent = { ...told, ts: Date.now() };
    this.#events.push(event);
    if (this.#events.length > this.#size) this.#events.shift();
    for (const listener of listeners) {
      // One that fails at every event would be told of its failures without end.
      const failed = (error: unknown): void => { this.#tell(failureOf(error), without(listeners, listener)); };
      try {
        const outcome = listener(event);
        if (outcome instanceof Promise) outcome.catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  }
}

function failureOf(error: unknown): Told {
  return { type: 'error', message: error instanceof Error ? error.message : String(error), context: 'telling of an event' };
}

function without<T>(all: ReadonlySet<T>, one: T): ReadonlySet<T> {
  return new Set([...all].filter((other) => other !== one));
}
