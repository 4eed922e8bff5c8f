// Random transactions on the source of a soak run, until it is told to stop.

/**
 * Runs random transactions. A lost connection is replaced; what it had begun counts or not.
 * @template Client
 */
export class Writing {
  /** @type {Client | undefined} */
  #client;
  #stopped = false;
  /** Transactions that were committed for certain. */
  committed = 0;

  /**
   * @param {object} how
   * @param {() => Promise<Client>} how.connect
   * @param {(client: Client) => Promise<void>} how.transaction
   * @param {(client: Client) => Promise<void>} how.disconnect
   */
  constructor(how) {
    this.how = how;
  }

  async run() {
    while (!this.#stopped) {
      try {
        await this.how.transaction((this.#client ??= await this.how.connect()));
        this.committed += 1;
      } catch {
        await this.#leave();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    await this.#leave();
  }

  stop() {
    this.#stopped = true;
  }

  async #leave() {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await this.how.disconnect(client).catch(() => undefined);
  }
}
