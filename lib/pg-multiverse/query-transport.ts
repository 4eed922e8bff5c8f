// The queries that are on their way to the native engine and back: gathered and sent together, settled a few milliseconds at a time.
import type { NativeMultiverse } from '../../native.js';
import { errorOfThrown } from './failures.js';
import { holdProcess, letProcessGo } from './process-holding.js';
import { type EndListener, type NewsListener, ParcelReader } from './parcel-reading.js';
import { NearHits, type Question } from './near-hits.js';
import type { PendingQuery } from './pending-query.js';
import { type RequestParts, RequestWriter } from './request-writer.js';
import { routeText } from './route-text.js';
import type { ShardBranches } from './sharding/sharded-clusters.js';
import { SlotTable } from './slot-table.js';
import type { CacheQueryOptions, RouteOptions } from './types.js';
import type { ValueParsers } from './value-parsers.js';

/** Milliseconds after which the event loop gets its turn, before more queries are settled; V8 collects garbage meanwhile. */
const TURN = 3;
/** Statements that both sides know by number; the texts of longer ones are sent each time. */
const MOST_STATEMENTS = 4_000;
const LONGEST_STATEMENT = 16_384;
const MOST_ROUTES = 1_000;

/** Queries on their way. */
export class QueryTransport implements EndListener {
  readonly #engine: NativeMultiverse;
  readonly #parsers: ValueParsers;
  readonly #reader: ParcelReader;
  readonly #writer = new RequestWriter();
  readonly #statements = new SlotTable(MOST_STATEMENTS, LONGEST_STATEMENT, (slot, text) => this.#writer.writeStatement(slot, text));
  readonly #routes = new SlotTable(MOST_ROUTES, LONGEST_STATEMENT, (slot, text) => this.#writer.writeRoute(slot, text));
  readonly #near = new NearHits();
  readonly #cacheEpoch = () => this.#engine.cacheEpoch();
  /** The cache has answered queries. */
  #hasHits = false;
  readonly #queries: (PendingQuery | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #flushLater = () => this.#flush();
  readonly #drainLater = () => this.drain();
  #waiting = 0;
  #epoch = 0;
  /** The first query that is written and not sent. */
  #firstUnsent = 0;
  #isFlushPlanned = false;
  #ownParserBits = 0;
  /** When the first result of this turn of the event loop was taken at once. */
  #turnStart: number | undefined = undefined;
  readonly #endTurn = () => {
    this.#turnStart = undefined;
  };
  #isDraining = false;
  /** Results came while others were being settled. */
  #mustDrainAgain = false;

  /** @param news is told of what is no query's outcome; it is kept from being collected while queries are on their way */
  constructor(engine: NativeMultiverse, parsers: ValueParsers, news: NewsListener) {
    this.#engine = engine;
    this.#parsers = parsers;
    this.#reader = new ParcelReader(parsers, this, news);
  }

  /**
   * Sends a query with all others of this turn of the event loop.
   *
   * @throws if a parameter cannot be written; then nothing is sent.
   */
  submit(query: PendingQuery, text: string, values: readonly unknown[] | undefined, route: RouteOptions & CacheQueryOptions & ShardBranches | undefined, parts: RequestParts): void {
    const routed = route === undefined ? '{}' : routeText(route, query.watch !== undefined);
    if (this.#hasHits && route !== undefined && parts.session === 0 && !parts.isStream && query.watch === undefined) {
      query.question = this.#near.question(text, values, routed, query.asLists, performance.now());
      if (query.question !== undefined && this.#answerNear(query, query.question)) return;
    }
    const statement = this.#statements.slotOf(text);
    const routeSlot = routed === '{}' ? 0 : this.#routes.slotOf(routed);
    const epoch = (this.#epoch + 1) >>> 0;
    const slot = this.#freeSlots.pop() ?? this.#queries.length;
    try {
      this.#writer.writeRequest(slot, epoch, statement, routeSlot, values, parts);
    } catch (error) {
      if (slot < this.#queries.length) this.#freeSlots.push(slot);
      // What numbers stand for was written, and goes along.
      this.#planFlush(epoch);
      throw error;
    }
    this.#epoch = epoch;
    query.slot = slot;
    query.epoch = epoch;
    this.#queries[slot] = query;
    if (this.#waiting === 0) holdProcess(this);
    this.#waiting += 1;
    this.#planFlush(epoch);
  }

  /** Answers a query with what the cache had a moment ago. Whoever asks again and again lets the event loop go on meanwhile. */
  #answerNear(query: PendingQuery, question: Question): boolean {
    const found = this.#near.find(question, this.#cacheEpoch);
    if (found === undefined || this.#parsers.ownParserBits() !== this.#ownParserBits) return false;
    if (question.asked - this.#beginTurn(question.asked) >= TURN) return false;
    query.answer(this.#near.handOut(found));
    return true;
  }

  /** The start of this turn of the event loop, as far as results are taken at once in it. */
  #beginTurn(now: number): number {
    if (this.#turnStart === undefined) {
      this.#turnStart = now;
      setImmediate(this.#endTurn);
    }
    return this.#turnStart;
  }

  holds(query: PendingQuery, epoch: number, micros: number): void {
    this.#hasHits = true;
    const { question, asLists } = query;
    if (question === undefined) return;
    const holding = { epoch, until: question.asked + micros / 1000 };
    query.whenSucceeded = (result, shape) => {
      if (epoch === this.#cacheEpoch()) this.#near.keep(question, holding, result, shape, asLists);
    };
  }

  /** Tells the engine of hits that it has not seen, so that its figures have them. */
  tellHits(): void {
    for (const [cluster, hits] of this.#near.takeHits()) this.#engine.countCacheHits(cluster, hits);
  }

  #planFlush(epoch: number): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    this.#firstUnsent = epoch;
    // After all promises that are settled now, so that what their awaiters ask next goes along.
    process.nextTick(this.#flushLater);
  }

  #flush(): void {
    this.#isFlushPlanned = false;
    this.#tellParsers();
    let hasResults = false;
    try {
      hasResults = this.#engine.submit(this.#writer.buffer, this.#writer.length);
    } catch (error) {
      this.#failUnsent(errorOfThrown(error));
    } finally {
      this.#writer.clear();
    }
    if (hasResults) this.#takeAtOnce();
  }

  /**
   * Takes what came from the cache without a turn of the event loop. Whoever asks again and again would never let the loop
   * go on, so that after a while it gets its turn.
   */
  #takeAtOnce(): void {
    if (this.#isDraining) {
      // A listener asked while it was told of a query.
      this.#mustDrainAgain = true;
      return;
    }
    const now = performance.now();
    if (now - this.#beginTurn(now) < TURN) this.drain();
    else setImmediate(this.#drainLater);
  }

  /** The types that the application parses must come as text from now on. */
  #tellParsers(): void {
    const bits = this.#parsers.ownParserBits();
    if (bits === this.#ownParserBits) return;
    this.#ownParserBits = bits;
    // Other values come as text from now on.
    this.#near.clear();
    this.#engine.setTextTypes(this.#parsers.typesWithOwnParser());
  }

  #failUnsent(error: unknown): void {
    for (const query of [...this.#queries]) {
      if (query !== undefined && query.epoch - this.#firstUnsent >= 0) this.finish(query.slot)?.fail(error);
    }
  }

  at(slot: number): PendingQuery | undefined {
    return this.#queries[slot];
  }

  finish(slot: number): PendingQuery | undefined {
    const query = this.#queries[slot];
    if (query === undefined) return undefined;
    this.#queries[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#waiting -= 1;
    if (this.#waiting === 0) letProcessGo(this);
    return query;
  }

  /** Settles queries for as long as a turn may take. */
  drain(): void {
    this.#isDraining = true;
    this.#mustDrainAgain = false;
    try {
      if (this.#settle() || this.#mustDrainAgain) setImmediate(this.#drainLater);
    } finally {
      this.#isDraining = false;
    }
  }

  /** Gives whether there is more to be settled. */
  #settle(): boolean {
    const start = performance.now();
    do {
      const texts = this.#engine.take(this.#reader.arena);
      if (texts === null) return false;
      if (typeof texts === 'number') this.#reader.grow(texts);
      else if (!this.#reader.read(texts)) {
        this.#reader.shrink();
        return false;
      }
    } while (performance.now() - start < TURN);
    return true;
  }

  /** Cancels a query, also on the server. It still ends. */
  cancel(query: PendingQuery): void {
    this.sendPlanned();
    this.#engine.cancel(query.slot, query.epoch);
  }

  /** A reader has taken all rows of its query. */
  resume(query: PendingQuery): void {
    this.#engine.resume(query.slot, query.epoch);
  }

  /** A query that was read as a stream has ended. */
  forgetStream(query: PendingQuery): void {
    this.#engine.forgetStream(query.slot, query.epoch);
  }

  /** Sends what was asked: whatever overtook a query would not find it. */
  sendPlanned(): void {
    if (!this.#writer.isEmpty) this.#flush();
  }
}
