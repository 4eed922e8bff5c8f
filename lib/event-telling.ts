// Events whose listeners cannot harm what they are told of.
import type { EventEmitter } from 'node:events';

/**
 * Calls each listener of an event for itself. What a listener throws, or rejects with, keeps no other from being called
 * and does not reach whoever tells: it is emitted as `error`, or without a listener for that becomes a process warning.
 */
export function tellListeners(emitter: EventEmitter, event: string, args: readonly unknown[]): void {
  if (emitter.listenerCount(event) === 0) return;
  for (const listener of emitter.rawListeners(event) as ((...args: unknown[]) => unknown)[]) {
    try {
      const outcome = Reflect.apply(listener, emitter, args);
      // A listener may be an async function, whose rejection would otherwise end the process.
      if (outcome instanceof Promise) outcome.catch((error: unknown) => report(emitter, error));
    } catch (error) {
      report(emitter, error);
    }
  }
}

function report(emitter: EventEmitter, error: unknown): void {
  if (emitter.listenerCount('error') > 0) emitter.emit('error', error);
  else process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
