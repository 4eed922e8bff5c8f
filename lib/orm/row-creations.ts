// Rows that are created in one turn of the application, written together.
import type { NativeDialect, NativeSchema } from '../../native.js';
import { decodeRow, finishRow } from './value-decoding.js';

/** How many are written at once. */
const MOST_AT_ONCE = 64;
/** Milliseconds after which other work of the application gets its turn. */
const LONGEST_TURN = 8;

/** A row that has not been written. */
interface Creation {
  readonly schema: NativeSchema;
  /** The record, as text. */
  readonly text: string;
  readonly resolve: (row: object | null) => void;
  /** Takes an error of the native core as it comes from there. */
  readonly reject: (error: unknown) => void;
}

/**
 * The rows that wait to be created in a database that writes them at once. Those of one turn share a transaction, which takes
 * a fraction of the time; each has its own outcome all the same, and has it when that is permanent.
 */
export class RowCreations {
  readonly #session: NativeDialect;
  #waiting: Creation[] = [];
  #isScheduled = false;

  constructor(session: NativeDialect) {
    this.#session = session;
  }

  /** The row that a record became. */
  create(schema: NativeSchema, record: string): Promise<object | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ schema, text: record, resolve, reject });
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      // Whoever else is about to create a row in this turn does so before. A turn of Node's own would take longer than a row.
      void queue.then(this.#writeForATurn);
    });
  }

  /** Writes what waits, before something that was asked for later. */
  flush(): void {
    while (this.#waiting.length > 0) this.#writeSome();
  }

  readonly #writeForATurn = (): void => {
    this.#isScheduled = false;
    if (this.#waiting.length <= MOST_AT_ONCE) return this.flush();
    const begin = performance.now();
    while (this.#waiting.length > 0 && performance.now() - begin < LONGEST_TURN) this.#writeSome();
    if (this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#writeForATurn);
  };

  /** Writes the rows that come first, as far as they are of one entity. */
  #writeSome(): void {
    const [first] = this.#waiting as [Creation];
    const other = this.#waiting.findIndex(({ schema }) => schema !== first.schema);
    const rows = this.#waiting.splice(0, Math.min(other < 0 ? this.#waiting.length : other, MOST_AT_ONCE));
    if (rows.length === 1) this.#writeOne(first);
    else this.#writeAll(first.schema, rows);
  }

  #writeOne({ schema, text, resolve, reject }: Creation): void {
    try {
      const row = this.#session.create(schema, text);
      if (typeof row === 'string') resolve(decodeRow(row));
      else settle(row, resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #writeAll(schema: NativeSchema, creations: readonly Creation[]): void {
    let outcomes: [letters: string, rows: string, errors: string[], promises: Promise<string>[]];
    try {
      outcomes = this.#session.createEach(schema, `[${creations.map(({ text }) => text).join(',')}]`);
    } catch {
      // Nothing has happened; each is told by itself what is wrong.
      for (const creation of creations) this.#writeOne(creation);
      return;
    }
    const [letters, text, errors, promises] = outcomes;
    const rows = JSON.parse(text) as unknown[][];
    let row = 0;
    let error = 0;
    let promise = 0;
    for (const [at, creation] of creations.entries()) {
      const letter = letters[at];
      if (letter === 'r') creation.resolve(finishRow(rows[row++] as unknown[]));
      else if (letter === 'f') creation.reject(new Error(errors[error++]));
      else if (letter === 'p') settle(promises[promise++] as Promise<string>, creation.resolve, creation.reject);
      else this.#writeOne(creation);
    }
  }
}

/** What is done after it is done before Node looks for anything else to do. */
const queue = Promise.resolve();

function settle(text: Promise<string>, resolve: Creation['resolve'], reject: Creation['reject']): void {
  text.then(decodeRow<object>).then(resolve, reject);
}
