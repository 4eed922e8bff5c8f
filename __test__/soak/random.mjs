// Numbers that seem random and are the same for the same seed, so that a run can be repeated.

/** A generator of pseudo-random numbers (the "mulberry32" sequence). */
export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** @returns {number} from 0 to below 1 */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /**
   * @param {number} below
   * @returns {number} an integer from 0
   */
  below(below) {
    return Math.floor(this.next() * below);
  }

  /**
   * @template T
   * @param {readonly T[]} choices at least one
   * @returns {T}
   */
  pick(choices) {
    return /** @type {T} */ (choices[this.below(choices.length)]);
  }

  /** @param {number} probability from 0 to 1 */
  chance(probability) {
    return this.next() < probability;
  }
}
