// Numbers that look random and are the same for the same seed.

/** Numbers that are the same for the same seed. */
export class Dice {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed;
  }

  /** A whole number below another. @param {number} end */
  below(end) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * end);
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  of(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }

  /** @param {number} percent */
  chance(percent) {
    return this.below(100) < percent;
  }
}
