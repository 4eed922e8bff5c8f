// Redis tells of every key that changes: client-side tracking by prefix, on a connection of its own.
import type { Redis } from 'ioredis';

/** The channel on which a connection of protocol 2 is told. */
const CHANNEL = '__redis__:invalidate';
/** Milliseconds between signs of life; a connection that gives none in as many is not trusted. */
const PULSE = 1_000;

/** Listens to one server. */
export class Tracker {
  /** Settled when tracking has begun, or failed for the first time. */
  readonly started: Promise<void>;
  readonly #connection: Redis;
  readonly #prefix: string;
  readonly #changed: (keys: string[] | null) => void;
  #isTracking = false;
  #pulse: NodeJS.Timeout | undefined = undefined;

  /** @param connection one of protocol 2, used for nothing else */
  constructor(connection: Redis, prefix: string, changed: (keys: string[] | null) => void) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#changed = changed;
    this.started = new Promise((resolve) => {
      connection.on('ready', () => void this.#track().finally(resolve));
      connection.once('error', () => resolve());
    });
    // The link tells of errors; without a listener they would end the process.
    connection.on('error', () => this.#stopTrusting());
    connection.on('close', () => this.#stopTrusting());
    connection.on('messageBuffer', (_: Buffer, keys: unknown) => this.#take(keys));
  }

  get isTracking(): boolean {
    return this.#isTracking;
  }

  async #track(): Promise<void> {
    try {
      const id = await this.#connection.client('ID');
      // The news of a connection may go to itself.
      await this.#connection.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', 'PREFIX', this.#prefix);
      await this.#connection.subscribe(CHANNEL);
    } catch {
      this.#stopTrusting();
      this.#connection.disconnect(true);
      return;
    }
    this.#isTracking = true;
    // What changed before is not known.
    this.#changed(null);
    clearInterval(this.#pulse);
    this.#pulse = setInterval(() => void this.#feelPulse(), PULSE).unref();
  }

  async #feelPulse(): Promise<void> {
    const limit = setTimeout(() => {
      this.#stopTrusting();
      this.#connection.disconnect(true);
    }, PULSE);
    await this.#connection.ping().catch(() => undefined);
    clearTimeout(limit);
  }

  #take(keys: unknown): void {
    if (!Array.isArray(keys)) {
      this.#changed(null);
      return;
    }
    this.#changed(keys.map((key) => String(key).slice(this.#prefix.length)));
  }

  #stopTrusting(): void {
    clearInterval(this.#pulse);
    if (!this.#isTracking) return;
    this.#isTracking = false;
    this.#changed(null);
  }

  close(): void {
    clearInterval(this.#pulse);
    this.#isTracking = false;
    this.#connection.disconnect();
  }
}
