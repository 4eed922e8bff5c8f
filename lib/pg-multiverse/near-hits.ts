// Results that the engine's cache had a moment ago: rows are copied from them without the way to the engine and back.
import { parameterContent } from './parameter-text.js';
import { type CopiedValue, copyOf, sizeOf } from './value-copying.js';
import type { Shape } from './shapes.js';
import type { QueryResult } from './types.js';

/** Results live for some milliseconds, so that few are enough. */
const MOST_RESULTS = 500;
/** Characters of a statement with its values; comparing longer ones takes longer than the way. */
const LONGEST_QUESTION = 4096;
/** Bytes of a result, about; copying a longer one takes longer than the way. */
const LARGEST = 32 << 10;

/** What a query asks, and when it did. */
export interface Question {
  readonly text: string;
  /** Its route, what it says about caching, its values, and how it wants its rows. */
  readonly key: string;
  /** In milliseconds, as `performance.now()` gives them. */
  readonly asked: number;
}

/** For how long a result is that of the cache. */
export interface Holding {
  readonly epoch: number;
  /** In milliseconds, as `performance.now()` gives them. */
  readonly until: number;
}

/** A result that nobody has, and so nobody changes. Its fields are made of its shape for each who gets it. */
export interface NearResult extends Holding {
  readonly shape: Shape;
  readonly result: QueryResult;
  /** The version of the shape by whose parsers the values were made. */
  readonly version: number;
  /** The columns whose values are not copied with their rows. */
  readonly deep: readonly (string | number)[];
  readonly asLists: boolean;
}

type Row = Record<string | number, unknown>;

/** The results, by what was asked. */
export class NearHits {
  readonly #byText = new Map<string, Map<string, NearResult>>();
  #size = 0;
  /** When the result ends that was kept last. */
  #lastEnd = 0;
  /** Hits that the engine has not been told of, by cluster. */
  #hits = new Map<string, number>();

  /** What a query asks; `undefined` for values that take long to compare. */
  question(text: string, values: readonly unknown[] | undefined, route: string, asLists: boolean, asked: number): Question | undefined {
    let key = asLists ? `[]${route}` : route;
    if (values !== undefined) {
      for (const value of values) {
        if (typeof value === 'object' && value !== null) return undefined;
        const content = parameterContent(value);
        if (content !== null && typeof content !== 'string') return undefined;
        key += content === null ? '\0' : `\0${content.length} ${content}`;
      }
    }
    return text.length + key.length > LONGEST_QUESTION ? undefined : { text, key, asked };
  }

  /** The result for a question, if there is one that holds. */
  find({ text, key, asked }: Question, epoch: () => number): NearResult | undefined {
    const found = this.#byText.get(text)?.get(key);
    if (found === undefined || asked >= found.until || found.epoch !== epoch()) return undefined;
    return found.shape.version === found.version && found.shape.isCurrent() ? found : undefined;
  }

  /** A copy of a result, which counts as a hit. */
  handOut({ result, shape, deep, asLists }: NearResult): QueryResult {
    this.#hits.set(result.clusterId, (this.#hits.get(result.clusterId) ?? 0) + 1);
    return { ...result, rows: result.rows.map((row) => copyRow(row as Row, deep, asLists)), fields: shape.ownFields() };
  }

  /** Keeps a copy of a result for the next who ask the same, if it can be copied. */
  keep({ text, key, asked }: Question, { epoch, until }: Holding, result: QueryResult, shape: Shape, asLists: boolean): void {
    const rows = result.rows as Row[];
    const deep = deepColumns(rows);
    if (deep === undefined) return;
    // What was kept before the last ones ended holds no longer, nobody looks for it, and it is let go.
    if (this.#size >= MOST_RESULTS || asked >= this.#lastEnd) this.clear();
    this.#lastEnd = until;
    const ofText = this.#byText.get(text) ?? new Map<string, NearResult>();
    this.#byText.set(text, ofText);
    if (!ofText.has(key)) this.#size += 1;
    const copy = { ...result, rows: rows.map((row) => copyRow(row, deep, asLists)), fields: [] };
    ofText.set(key, { epoch, until, shape, version: shape.version, result: copy, deep, asLists });
  }

  /** Forgets all results. */
  clear(): void {
    this.#byText.clear();
    this.#size = 0;
  }

  /** The hits since this was asked last, by cluster. */
  takeHits(): ReadonlyMap<string, number> {
    const hits = this.#hits;
    if (hits.size > 0) this.#hits = new Map();
    return hits;
  }
}

/** The columns that hold anything that can be changed; `undefined` if something cannot be copied, or it is too much. */
function deepColumns(rows: readonly Row[]): (string | number)[] | undefined {
  const deep = new Set<string | number>();
  let size = 0;
  for (const row of rows) {
    for (const column of Object.keys(row)) {
      const value = row[column];
      const bytes = sizeOf(value);
      if (bytes === undefined) return undefined;
      size += bytes;
      if (typeof value === 'object' && value !== null) deep.add(column);
    }
    if (size > LARGEST) return undefined;
  }
  return [...deep];
}

function copyRow(row: Row, deep: readonly (string | number)[], asLists: boolean): Row {
  const copy = asLists ? ((row as unknown as unknown[]).slice() as unknown as Row) : { ...row };
  for (const column of deep) copy[column] = copyOf(copy[column] as CopiedValue);
  return copy;
}
