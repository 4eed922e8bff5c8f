// The native core's transactions, with their errors as errors of this package.
import type { NativeTransactions } from '../../../native.js';
import type { EngineClient } from '../engine-client.js';
import type { SessionInfo } from '../engine-reports.js';
import { errorOfThrown } from '../failures.js';
import type { RouteOptions } from '../types.js';
import type { TransactionOptions } from './types.js';

/** A cluster's part of a transaction. */
export interface Participant {
  readonly session: SessionInfo;
  /** The schemas that were named of it. */
  readonly schemas: readonly string[];
}

/** A transaction that has begun. */
export interface Begun {
  readonly id: string;
  readonly participants: readonly Participant[];
}

/** Asks the native core, once what was asked of it before is on its way. */
export class TransactionCore {
  readonly #engine: EngineClient;
  readonly #core: NativeTransactions;

  constructor(engine: EngineClient) {
    this.#engine = engine;
    this.#core = engine.transactions();
  }

  /** @param beginLimit milliseconds for waiting for connections, and beginning on them */
  async begin(schemas: readonly string[], { isolationLevel, readonly, deferrable }: TransactionOptions, beginLimit: number | undefined): Promise<Begun> {
    const options = JSON.stringify({ isolation: isolationLevel, readOnly: readonly, deferrable, beginLimit });
    return JSON.parse(await this.#ask(() => this.#core.begin([...schemas], options))) as Begun;
  }

  async join(id: string, { schema, clusterId }: RouteOptions, mayJoin: boolean): Promise<Participant> {
    return JSON.parse(await this.#ask(() => this.#core.join(id, JSON.stringify({ schema, clusterId }), mayJoin))) as Participant;
  }

  /** @returns whether several clusters were written to */
  async commit(id: string, prepareLimit: number | undefined): Promise<boolean> {
    return this.#ask(() => this.#core.commit(id, prepareLimit));
  }

  async rollBack(id: string): Promise<void> {
    return this.#ask(() => this.#core.rollBack(id));
  }

  async close(): Promise<void> {
    return this.#ask(() => this.#core.close());
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    this.#engine.sendPlanned();
    try {
      return await question();
    } catch (thrown) {
      throw errorOfThrown(thrown);
    }
  }
}
