// Texts that both sides know are sent once, and then stand as small numbers.

/** A bounded table of texts; the oldest give their numbers to new ones. */
export class SlotTable {
  readonly #slots = new Map<string, number>();
  readonly #capacity: number;
  readonly #longest: number;
  readonly #define: (slot: number, text: string) => void;

  /**
   * @param capacity the most texts that are kept
   * @param longest texts of more characters are defined anew each time, so that they are not kept
   * @param define tells the other side that a number stands for a text from now on
   */
  constructor(capacity: number, longest: number, define: (slot: number, text: string) => void) {
    this.#capacity = capacity;
    this.#longest = longest;
    this.#define = define;
  }

  /** The number that stands for a text. */
  slotOf(text: string): number {
    return this.#slots.get(text) ?? this.#enter(text);
  }

  #enter(text: string): number {
    const slot = text.length > this.#longest ? 0 : this.#freeSlot();
    if (slot !== 0) this.#slots.set(text, slot);
    this.#define(slot, text);
    return slot;
  }

  /** 0 is for the texts that are not kept. */
  #freeSlot(): number {
    if (this.#slots.size < this.#capacity) return this.#slots.size + 1;
    for (const [oldest, slot] of this.#slots) {
      this.#slots.delete(oldest);
      return slot;
    }
    return 0;
  }
}
