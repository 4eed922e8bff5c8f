// The way to Redis: one server, a cluster or sentinels; and the news of what other processes change there.
import { EventEmitter } from 'node:events';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisConfig } from '../config.js';
import { Tracker } from './tracker.js';

/** What a command is sent with. */
export type RedisClient = Redis | Cluster;

const DEFAULT_PORT = 6379;
const CONNECT_TIMEOUT = 10_000;
const COMMAND_TIMEOUT = 5_000;
const LONGEST_PAUSE = 2_000;
const FIRST_PAUSE = 50;

/** The events of a link. */
export interface RedisLinkEvents {
  /** Commands can be sent, for the first time or again. */
  connected: [isAgain: boolean];
  disconnected: [];
  /** Keys have changed, without the prefix; `null` if any may have. */
  changed: [keys: string[] | null];
  error: [error: unknown];
}

/** A connection to Redis that is opened anew when it is lost. */
export class RedisLink extends EventEmitter<RedisLinkEvents> {
  /** What all keys begin with. */
  readonly prefix: string;
  readonly #config: RedisConfig;
  readonly #isTracking: boolean;
  readonly #starting: Promise<void>;
  readonly #trackers = new Map<string, Tracker>();
  #client: RedisClient | undefined = undefined;
  #isUp = false;
  #wasUp = false;
  #isClosed = false;

  /** @param isTracking whether it tells of keys that change */
  constructor(config: RedisConfig, isTracking: boolean) {
    super();
    this.#config = config;
    this.#isTracking = isTracking;
    this.prefix = config.keyPrefix ?? 'pgmv:';
    this.#starting = this.#start();
    // Whoever sends a command is told.
    this.#starting.catch((error: unknown) => this.emit('error', error));
  }

  /** Whether commands can be sent. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether every change of a key is being told of. */
  get isTrackingNow(): boolean {
    return this.#isUp && this.#trackers.size > 0 && [...this.#trackers.values()].every((tracker) => tracker.isTracking);
  }

  /** What commands are sent with. Waits for the first connection, and rejects where that fails. */
  async client(): Promise<RedisClient> {
    await this.#starting;
    if (this.#client === undefined || !this.#isUp) throw new Error('Redis cannot be reached');
    return this.#client;
  }

  /** The servers that hold keys. */
  async masters(): Promise<Redis[]> {
    const client = await this.client();
    return 'nodes' in client ? client.nodes('master') : [client];
  }

  async #start(): Promise<void> {
    const { Cluster, Redis } = await import('ioredis');
    if (this.#isClosed) return;
    const { cluster, sentinels } = this.#config;
    const nodes = cluster === undefined ? undefined : Array.isArray(cluster) ? cluster : cluster.nodes;
    const options = this.#options();
    const client: RedisClient =
      nodes === undefined
        ? new Redis({ ...options, ...(sentinels === undefined ? {} : this.#sentinelOptions()) })
        : new Cluster(nodes, { redisOptions: options, enableOfflineQueue: false, clusterRetryStrategy: pauseBefore, scaleReads: 'master' });
    this.#client = client;
    const first = new Promise<void>((resolve) => {
      client.once('ready', resolve);
      const limit = setTimeout(resolve, this.#config.connectTimeout ?? CONNECT_TIMEOUT);
      client.once('ready', () => clearTimeout(limit));
      this.once('disconnected', () => clearTimeout(limit));
    });
    client.on('ready', () => void this.#ready());
    client.on('close', () => this.#lost());
    client.on('end', () => this.#lost());
    client.on('error', (error: unknown) => this.#failed(error));
    if ('nodes' in client) client.on('+node', () => void this.#trackAll()).on('-node', () => void this.#trackAll());
    await Promise.race([first, new Promise<void>((resolve) => this.once('error', () => resolve()))]);
  }

  #options(): RedisOptions {
    const { host = 'localhost', port = DEFAULT_PORT, username, password, db, connectTimeout, commandTimeout } = this.#config;
    return {
      host,
      port,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(db === undefined ? {} : { db }),
      connectTimeout: connectTimeout ?? CONNECT_TIMEOUT,
      commandTimeout: commandTimeout ?? COMMAND_TIMEOUT,
      // What waits for Redis waits for nothing: there is another way to the data.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: pauseBefore,
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    };
  }

  #sentinelOptions(): RedisOptions {
    const { sentinels = [], sentinelName = 'mymaster', sentinelPassword } = this.#config;
    return { sentinels, name: sentinelName, sentinelRetryStrategy: pauseBefore, ...(sentinelPassword === undefined ? {} : { sentinelPassword }) };
  }

  async #ready(): Promise<void> {
    if (this.#isClosed) return;
    this.#isUp = true;
    await this.#trackAll();
    const isAgain = this.#wasUp;
    this.#wasUp = true;
    // It may have been lost again meanwhile.
    if (this.#isUp) this.emit('connected', isAgain);
  }

  #lost(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.emit('changed', null);
    this.emit('disconnected');
  }

  #failed(error: unknown): void {
    if (!this.#isClosed) this.emit('error', error);
  }

  /** One tracker for each server that holds keys. */
  async #trackAll(): Promise<void> {
    if (!this.#isTracking || this.#isClosed || !this.#isUp) return;
    const masters = await this.masters().catch(() => []);
    const wanted = new Map(masters.map((master) => [`${master.options.host ?? ''}:${master.options.port ?? 0}`, master]));
    for (const [name, tracker] of this.#trackers) {
      if (wanted.has(name)) continue;
      tracker.close();
      this.#trackers.delete(name);
    }
    for (const [name, master] of wanted) {
      if (this.#trackers.has(name)) continue;
      // The tracker subscribes by itself. Where ioredis does, nobody hears that it failed, which ends the process.
      const connection = master.duplicate({ protocol: 2, lazyConnect: false, retryStrategy: pauseBefore, autoResubscribe: false });
      const tracker = new Tracker(connection, this.prefix, (keys) => this.emit('changed', keys));
      this.#trackers.set(name, tracker);
    }
    await Promise.all([...this.#trackers.values()].map((tracker) => tracker.started));
  }

  /** Ends all connections. */
  close(): void {
    this.#isClosed = true;
    this.#isUp = false;
    for (const tracker of this.#trackers.values()) tracker.close();
    this.#trackers.clear();
    this.#client?.disconnect();
  }
}

function pauseBefore(attempt: number): number {
  return Math.min(FIRST_PAUSE * 2 ** Math.min(attempt, 10), LONGEST_PAUSE);
}
