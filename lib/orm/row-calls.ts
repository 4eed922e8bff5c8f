// Reads and writes of single rows that are asked for in one turn of the application, carried out together.
import type { NativeDialect, NativeSchema } from '../../native.js';
import { decodeRow, finishRow } from './value-decoding.js';

/** How many are carried out at once. */
const MOST_AT_ONCE = 64;
/** Milliseconds after which other work of the application gets its turn. */
const LONGEST_TURN = 8;

/** A call that has not been carried out. */
interface Call {
  readonly schema: NativeSchema;
  /** The id or the record, as text. */
  readonly text: string;
  readonly resolve: (row: object | null) => void;
  /** Takes an error of the native core as it comes from there. */
  readonly reject: (error: unknown) => void;
}

/** What came of some calls: a letter for each, and for those of each letter the rows, errors and promises. */
type Outcomes = [letters: string, rows: string, errors: string[], promises: Promise<string>[]];

/** One kind of call: alone, and several at once. */
interface Kind {
  one(session: NativeDialect, schema: NativeSchema, text: string): string | Promise<string>;
  each(session: NativeDialect, schema: NativeSchema, list: string): Outcomes;
}

const FIND: Kind = {
  one: (session, schema, text) => session.findById(schema, text),
  each: (session, schema, list) => session.findEach(schema, list),
};

const CREATE: Kind = {
  one: (session, schema, text) => session.create(schema, text),
  each: (session, schema, list) => session.createEach(schema, list),
};

/**
 * The calls for single rows of a database that answers them at once. Those of one turn share a transaction, which takes a
 * fraction of the time; each has its own outcome all the same, and has it when that is permanent.
 */
export class RowCalls {
  readonly #session: NativeDialect;
  #creates: Call[] = [];
  #finds: Call[] = [];
  #isScheduled = false;
  /** When the application was last given a turn here. */
  #turn = 0;

  constructor(session: NativeDialect) {
    this.#session = session;
  }

  /** The row of an id. */
  find(schema: NativeSchema, id: string): Promise<object | null> {
    return new Promise((resolve, reject) => {
      this.#finds.push({ schema, text: id, resolve, reject });
      this.#schedule();
    });
  }

  /** The row that a record became. */
  create(schema: NativeSchema, record: string): Promise<object | null> {
    return new Promise((resolve, reject) => {
      this.#creates.push({ schema, text: record, resolve, reject });
      this.#schedule();
    });
  }

  /** Carries out what waits, before something that was asked for later. */
  flush(): void {
    while (this.#next()) continue;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // An application that awaits one call after the other would never let go of its thread otherwise.
    if (performance.now() - this.#turn < LONGEST_TURN) process.nextTick(this.#carryOut);
    else setImmediate(this.#carryOutInTurn);
  }

  readonly #carryOutInTurn = (): void => {
    this.#turn = performance.now();
    this.#carryOut();
  };

  readonly #carryOut = (): void => {
    this.#isScheduled = false;
    const begin = performance.now();
    while (this.#next()) {
      if (performance.now() - begin >= LONGEST_TURN) break;
    }
    if (this.#creates.length > 0 || this.#finds.length > 0) this.#schedule();
  };

  /** Carries out some calls; whether there were any. What was created can be found by whoever asks for it afterwards. */
  #next(): boolean {
    if (this.#creates.length > 0) this.#run(CREATE, takeAlike(this.#creates));
    else if (this.#finds.length > 0) this.#run(FIND, takeAlike(this.#finds));
    else return false;
    return true;
  }

  #run(kind: Kind, calls: readonly Call[]): void {
    const [first] = calls as [Call];
    if (calls.length === 1) this.#runOne(kind, first);
    else this.#runAll(kind, first.schema, calls);
  }

  #runOne(kind: Kind, { schema, text, resolve, reject }: Call): void {
    try {
      const row = kind.one(this.#session, schema, text);
      if (typeof row === 'string') resolve(decodeRow(row));
      else settle(row, resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #runAll(kind: Kind, schema: NativeSchema, calls: readonly Call[]): void {
    let outcomes: Outcomes;
    try {
      outcomes = kind.each(this.#session, schema, `[${calls.map(({ text }) => text).join(',')}]`);
    } catch {
      // Nothing has happened; each is told by itself what is wrong.
      for (const call of calls) this.#runOne(kind, call);
      return;
    }
    const [letters, text, errors, promises] = outcomes;
    const rows = JSON.parse(text) as unknown[][];
    let row = 0;
    let error = 0;
    let promise = 0;
    for (const [at, call] of calls.entries()) {
      const letter = letters[at];
      if (letter === 'r') call.resolve(finishRow(rows[row++] as unknown[]));
      else if (letter === 'f') call.reject(new Error(errors[error++]));
      else if (letter === 'p') settle(promises[promise++] as Promise<string>, call.resolve, call.reject);
      else this.#runOne(kind, call);
    }
  }
}

/** Takes the first calls, as far as they are of one entity. */
function takeAlike(calls: Call[]): Call[] {
  const other = calls.findIndex(({ schema }) => schema !== calls[0]?.schema);
  return calls.splice(0, Math.min(other < 0 ? calls.length : other, MOST_AT_ONCE));
}

function settle(text: Promise<string>, resolve: Call['resolve'], reject: Call['reject']): void {
  text.then(decodeRow<object>).then(resolve, reject);
}
