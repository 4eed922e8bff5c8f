// Changes of one entity service, captured by its events and applied to another in batches.
import { configError } from '../errors.js';
import type { EntityIdentity, EntityRecord } from '../types/query.js';
import { applyEvent } from './cdc-apply.js';
import { type CDCEvent, type CDCOperation, PendingEvents } from './cdc-events.js';
import { keyText } from './row-content.js';
import type { SyncService } from './synced-entity.js';
import type { ConflictResolution } from './types.js';

/** A service whose writes can be listened to. */
export interface CDCSource extends SyncService {
  on(event: string, listener: (event: never) => void): unknown;
  off(event: string, listener: (event: never) => void): unknown;
}

/** What a flush did, or all flushes together. */
export interface CDCStats {
  /** Events that have been dealt with. */
  flushed: number;
  created: number;
  updated: number;
  deleted: number;
  /** Events that failed; they are tried again by the next flush. */
  errors: number;
  /** Milliseconds. */
  duration: number;
}

/** How a {@link CDCListener} works. */
export interface CDCListenerConfig {
  /** The entities that are captured; all of them when there is none. */
  collections?: readonly string[];
  /** Which version of a row stays where the target has one already; `source-wins` by default. Deletions always win but with `timestamp`. */
  conflictResolution?: ConflictResolution;
  /** How many waiting events start a flush; 100 by default. */
  flushThreshold?: number;
  /** Milliseconds from one flush to the next; 5000 by default, 0 for none by time. */
  flushIntervalMs?: number;
  /** Is told what each flush did that had anything to do. */
  onFlush?: (stats: CDCStats) => void;
  /** Is told of each event that failed, which stays among the pending ones. */
  onError?: (error: Error, event: CDCEvent) => void;
}

/** What the events of a service hold, of what is used here. */
interface WriteTold {
  entity?: unknown;
  id?: EntityIdentity;
  data?: EntityRecord | null;
}

const OPERATIONS: Readonly<Record<string, CDCOperation>> = {
  'entity.created': 'create',
  'entity.updated': 'update',
  'entity.upserted': 'update',
  'entity.deleted': 'delete',
};

const NOTHING: Readonly<CDCStats> = { flushed: 0, created: 0, updated: 0, deleted: 0, errors: 0, duration: 0 };

/**
 * Captures the writes that one service tells of, and applies them to another. Of each row only the latest state waits. An
 * event that fails is kept and tried again by the next flush; events wait in memory only, so that those that wait when the
 * process ends are lost.
 *
 * Writes that make no events are not captured: those in transactions, through repositories, and by other processes.
 */
export class CDCListener {
  readonly #source: CDCSource;
  readonly #target: SyncService;
  readonly #config: Required<Pick<CDCListenerConfig, 'conflictResolution' | 'flushThreshold' | 'flushIntervalMs'>> & CDCListenerConfig;
  readonly #pending = new PendingEvents();
  readonly #listeners = new Map<string, (event: WriteTold) => void>();
  #totals: CDCStats = { ...NOTHING };
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<CDCStats> | undefined;

  /** @throws {ReplicaverseError} of kind `Config` when a threshold or interval makes no sense. */
  constructor(source: CDCSource, target: SyncService, config: CDCListenerConfig = {}) {
    this.#source = source;
    this.#target = target;
    const { conflictResolution = 'source-wins', flushThreshold = 100, flushIntervalMs = 5000 } = config;
    if (!Number.isInteger(flushThreshold) || flushThreshold < 1) throw configError('flushThreshold: expected a whole number from 1');
    if (!Number.isFinite(flushIntervalMs) || flushIntervalMs < 0) throw configError('flushIntervalMs: expected a number from 0');
    if (!['source-wins', 'target-wins', 'timestamp'].includes(conflictResolution)) {
      throw configError(`conflictResolution: unknown value "${String(conflictResolution)}"; known are source-wins, target-wins, timestamp`);
    }
    this.#config = { ...config, conflictResolution, flushThreshold, flushIntervalMs };
  }

  /** Whether writes are being captured. */
  get isRunning(): boolean {
    return this.#listeners.size > 0;
  }

  /** How many rows wait for a flush, those that failed among them. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** What all flushes have done together. */
  get stats(): CDCStats {
    return { ...this.#totals };
  }

  /** Begins to capture; called again it does nothing. */
  start(): void {
    if (this.isRunning) return;
    for (const [name, op] of Object.entries(OPERATIONS)) {
      const listener = (told: WriteTold): void => this.#capture(op, told);
      this.#listeners.set(name, listener);
      this.#source.on(name, listener);
    }
    if (this.#config.flushIntervalMs === 0) return;
    this.#timer = setInterval(() => void this.flush(), this.#config.flushIntervalMs);
    // Replication alone is no reason for a process to go on.
    this.#timer.unref();
  }

  /**
   * Ends capturing, flushes what waits, and gives what all flushes have done together. Events that the target still refuses
   * stay pending; `start` and `flush` go on with them.
   */
  async stop(): Promise<CDCStats> {
    for (const [name, listener] of this.#listeners) this.#source.off(name, listener);
    this.#listeners.clear();
    clearInterval(this.#timer);
    await this.#flushing;
    await this.flush();
    return this.stats;
  }

  /** Applies what waits, and gives what that did: nothing when nothing waits, or another flush is under way. It never rejects. */
  async flush(): Promise<CDCStats> {
    if (this.#flushing !== undefined || this.#pending.size === 0) return { ...NOTHING };
    this.#flushing = this.#apply(this.#pending.takeAll()).finally(() => (this.#flushing = undefined));
    const stats = await this.#flushing;
    this.#guard(() => this.#config.onFlush?.(stats));
    // What failed waits for its turn; only what has come meanwhile may be enough for another.
    if (this.isRunning) this.#flushWhenFull();
    return stats;
  }

  #capture(op: CDCOperation, { entity, id, data }: WriteTold): void {
    if (typeof entity !== 'string' || !this.#captures(entity)) return;
    const key = identityText(data?.id ?? id);
    const event: CDCEvent = { op, collection: entity, id: key ?? '', timestamp: new Date(), attempted: false };
    if (data != null && op !== 'delete') event.data = data;
    if (key === undefined) {
      this.#fail(new Error(`${entity}: the event names no id, so that the change cannot be applied`), event, this.#totals);
      return;
    }
    this.#pending.add(event);
    this.#flushWhenFull();
  }

  #captures(entity: string): boolean {
    const { collections = [] } = this.#config;
    return collections.length === 0 || collections.includes('*') || collections.includes(entity);
  }

  #flushWhenFull(): void {
    if (this.#pending.fresh >= this.#config.flushThreshold) void this.flush();
  }

  async #apply(events: readonly CDCEvent[]): Promise<CDCStats> {
    const started = Date.now();
    const stats: CDCStats = { ...NOTHING };
    const failed: CDCEvent[] = [];
    for (const event of events) {
      try {
        const applied = await applyEvent(this.#source, this.#target, event, this.#config.conflictResolution);
        stats.flushed += 1;
        if (applied !== 'skipped') stats[applied] += 1;
      } catch (error) {
        failed.push(event);
        this.#fail(error instanceof Error ? error : new Error(String(error)), event, stats);
      }
    }
    this.#pending.putBack(failed);
    stats.duration = Date.now() - started;
    for (const key of Object.keys(stats) as (keyof CDCStats)[]) this.#totals[key] += stats[key];
    return stats;
  }

  #fail(error: Error, event: CDCEvent, stats: CDCStats): void {
    stats.errors += 1;
    this.#guard(() => this.#config.onError?.(error, event));
  }

  /** Callbacks of the application, which may be async functions, must not end a flush or the process. */
  #guard(callback: () => unknown): void {
    try {
      const outcome = callback();
      if (outcome instanceof Promise) outcome.catch(warn);
    } catch (error) {
      warn(error);
    }
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}

/** An id, `{id}` or an object id as text. */
function identityText(identity: unknown): string | undefined {
  if (identity === undefined || identity === null || identity === '') return undefined;
  if (typeof identity === 'object' && 'id' in identity && !('toHexString' in identity)) return identityText(identity.id);
  return keyText(identity);
}
