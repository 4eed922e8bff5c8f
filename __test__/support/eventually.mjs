// Waiting for a condition in tests: poll it until it holds, or fail at a deadline saying what was seen last.
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `probe` until it gives something truthy without throwing, and returns that.
 * @template T
 * @param {() => T | Promise<T>} probe
 * @param {object} [options]
 * @param {number} [options.deadlineMs] how long to try, in milliseconds
 * @param {number} [options.intervalMs] pause between attempts, in milliseconds
 * @param {string} [options.what] what is waited for, for the error message
 * @returns {Promise<NonNullable<T>>}
 * @throws {Error} at the deadline; its cause is what the probe threw last
 */
export async function eventually(probe, { deadlineMs = 10_000, intervalMs = 20, what = 'the condition' } = {}) {
  const deadline = performance.now() + deadlineMs;
  /** @type {unknown} */
  let seen;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      seen = undefined;
    } catch (error) {
      seen = error;
    }
    if (performance.now() >= deadline) break;
    await delay(intervalMs);
  }
  const reason = seen instanceof Error ? `: ${seen.message}` : '';
  throw new Error(`${what} did not hold within ${deadlineMs} ms${reason}`, { cause: seen });
}
