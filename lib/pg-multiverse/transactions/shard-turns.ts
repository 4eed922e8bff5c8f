// The statements of a transaction on sharded clusters, one after the other.
import { ReplicaverseError } from '../../errors.js';
import type { TransactionQueryOptions } from './types.js';

/** A statement that writes on several shards does so on one after the other, and would be overtaken by those asked after it. */
export class ShardTurns {
  /** The statements that have not ended, and the end of all of them. */
  #open = 0;
  #end: Promise<unknown> = Promise.resolve();

  /** Whether statements have not ended. */
  get isBusy(): boolean {
    return this.#open > 0;
  }

  /**
   * Runs a statement once those before it have ended, with what is left of its time then.
   *
   * @param run not called when the statement was given up while it waited
   */
  take<T>(options: TransactionQueryOptions, run: (options: TransactionQueryOptions) => Promise<T>): Promise<T> {
    const asked = performance.now();
    const before = this.#end;
    const waited = this.#open === 0 ? before : withinLimits(before, options);
    this.#open += 1;
    const turn = waited.then(() => {
      options.signal?.throwIfAborted();
      const { timeout } = options;
      if (typeof timeout !== 'number' || timeout <= 0) return run(options);
      const left = timeout - (performance.now() - asked);
      if (left <= 0) throw timeoutError(timeout);
      return run({ ...options, timeout: left });
    });
    this.#end = Promise.allSettled([before, turn]).then(() => {
      this.#open -= 1;
    });
    return turn;
  }

  /** Waits for the statements that were asked before. */
  async afterAll(): Promise<void> {
    if (this.#open > 0) await this.#end;
  }
}

/** Waits for the end of what is ahead, for as long as the options allow. */
function withinLimits(ahead: Promise<unknown>, { timeout, signal }: TransactionQueryOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    // The application may abort with anything.
    const giveUp: (reason: unknown) => void = reject;
    const abort = () => leave(signal?.reason);
    const leave = (error: unknown) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      giveUp(error);
    };
    if (typeof timeout === 'number' && timeout > 0) timer = setTimeout(() => leave(timeoutError(timeout)), Math.min(timeout, LONGEST_DELAY));
    if (signal?.aborted === true) return leave(signal.reason);
    signal?.addEventListener('abort', abort, { once: true });
    void ahead.then(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      resolve(undefined);
    });
  });
}

/** The longest delay that timers know. */
const LONGEST_DELAY = 2 ** 31 - 1;

function timeoutError(timeout: number): ReplicaverseError {
  return new ReplicaverseError(`The statement did not get its turn within ${timeout} ms, as others of its transaction were running`, {
    kind: 'Timeout',
    code: 'ERR_TIMEOUT',
  });
}
