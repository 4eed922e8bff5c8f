// Starts this library's side in a fresh process, and tells it what to do.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./ours.mjs', import.meta.url));

/** The process of this library's side. It ends by itself when the benchmark is gone. */
export class Ours {
  #child = fork(SCRIPT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });

  /**
   * Connects, and takes up what the source holds.
   * @param {import('../snapshot/databases.mjs').Database} source
   * @param {import('../snapshot/databases.mjs').Database} target
   */
  async open(source, target) {
    await this.#ask({ do: 'open', source, target });
  }

  /** @returns {Promise<import('./ours.mjs').CaughtUp>} */
  catchUp() {
    return this.#ask({ do: 'catch-up' });
  }

  async stream() {
    await this.#ask({ do: 'stream' });
  }

  /**
   * Removes what the rule made at the source.
   * @returns {Promise<import('./ours.mjs').Streamed>}
   */
  end() {
    return this.#ask({ do: 'end' });
  }

  /**
   * @template T
   * @param {import('./ours.mjs').Job} job
   * @returns {Promise<T>}
   */
  async #ask(job) {
    this.#child.send(job);
    const ended = once(this.#child, 'exit').then(() => {
      throw new Error('the measured process ended early');
    });
    ended.catch(() => undefined);
    const [answer] = /** @type {[{result: T} | {error: string}]} */ (await Promise.race([once(this.#child, 'message'), ended]));
    if ('error' in answer) throw new Error(answer.error);
    return answer.result;
  }
}
