// Which transaction a call through a dialect belongs to: the one that was begun in the same flow of asynchronous calls.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { NativeDialect } from '../../native.js';
import type { IDialect } from '../types/dialect.js';

/** Whether a call only looks at the database. */
export type Access = 'read' | 'write';

/**
 * A transaction in the flow of calls that began it. Repositories that were made for the database before work in it there, as
 * long as it is open. A flow may outlive what it went through, so that it keeps neither the transaction nor the database.
 */
export class TransactionScope {
  readonly id = randomUUID();
  /** When it was begun, in milliseconds since 1970. */
  readonly startedAt = Date.now();
  /** 1 for a transaction, more for the savepoints within it. */
  readonly depth: number;
  readonly #owner: WeakRef<object>;
  /** The transaction that this is a savepoint of. */
  readonly #enclosing: TransactionScope | undefined;
  /** What the flow was in before. */
  readonly #before: TransactionScope | undefined;
  #session: WeakRef<NativeDialect> | undefined;
  #transaction: WeakRef<IDialect> | undefined;
  #isOpen = true;
  /** Whether it has the extent of a function, which does the work of the transaction and nothing else. */
  #hasWork = false;
  /** Whether it was used by the object that stands for it. */
  #isUsedByItself = false;
  /** Whether it was used through the database. */
  #isUsedThroughOwner = false;
  /** The savepoint within it that does its work. */
  #part: { readonly scope: TransactionScope; readonly isOver: Promise<void> } | undefined;

  /** @param owner the database; its calls are those that may belong to the transaction */
  constructor(owner: object, enclosing: TransactionScope | undefined) {
    this.#owner = new WeakRef(owner);
    this.#enclosing = enclosing;
    this.#before = flow.getStore();
    this.depth = (enclosing?.depth ?? 0) + 1;
    open++;
  }

  /** The innermost transaction that a call through a database belongs to, as far as the flow goes. */
  static around(owner: object, access: Access): TransactionScope | undefined {
    // Without any transaction, a call costs no look at the flow.
    let scope = open === 0 ? undefined : flow.getStore();
    while (scope !== undefined && !scope.#takes(owner, access)) scope = scope.#before;
    if (scope !== undefined) scope.#isUsedThroughOwner = true;
    return scope;
  }

  /** The native transaction, once it is begun. */
  get session(): NativeDialect | undefined {
    return this.#session?.deref();
  }

  /** Makes what follows in the flow of the caller part of the transaction. To be called before anything is awaited. */
  enter(): void {
    flow.enterWith(this);
  }

  /** Runs work whose flow is part of the transaction. */
  run<T>(work: () => T): T {
    this.#hasWork = true;
    return flow.run(this, work);
  }

  /** The object that stands for the transaction, once it is begun. */
  get transaction(): IDialect | undefined {
    return this.#transaction?.deref();
  }

  /** Tells that the transaction is begun. */
  begun(session: NativeDialect, transaction: IDialect): void {
    this.#session = new WeakRef(session);
    this.#transaction = new WeakRef(transaction);
  }

  /** Tells that the object that stands for the transaction is used. */
  used(): void {
    this.#isUsedByItself = true;
  }

  /** The transactions on a database that are open in the flow, the innermost first, however they are used. */
  static openIn(owner: object): TransactionScope[] {
    const scopes: TransactionScope[] = [];
    for (let scope = open === 0 ? undefined : flow.getStore(); scope !== undefined; scope = scope.#before) {
      if (scope.#owner.deref() === owner && scope.#isOpen) scopes.push(scope);
    }
    return scopes;
  }

  /**
   * Runs the whole of a savepoint, from its begin to its end, when those beside it have ended: the database holds savepoints one
   * within the other, so that one that is undone would take what the others did with it. One that is begun by the work of another
   * lies within that, whatever object it was begun on.
   */
  async inTurn<T>(run: () => Promise<T>): Promise<T> {
    const around = this.#enclosing;
    if (around === undefined) return await run();
    while (around.#part !== undefined && !this.#isBegunIn(around.#part.scope)) await around.#part.isOver;
    if (around.#part !== undefined) return await run();
    const running = run();
    const isOver = running.then(noop, noop).then(() => {
      around.#part = undefined;
    });
    around.#part = { scope: this, isOver };
    return await running;
  }

  /** Tells that the transaction is over; calls are then outside of it again. */
  ended(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    open--;
    // Following the flow costs time with every promise of the process.
    if (open === 0) flow.disable();
  }

  /**
   * Whether a call belongs to this transaction. Someone who works with the object that stands for it, and calls the database
   * as well, means what is outside of it. But all that the function of a transaction writes is part of it: it might have been
   * written by code that does not know of the transaction, and outside it could wait for it forever.
   */
  #takes(owner: object, access: Access): boolean {
    if (this.#owner.deref() !== owner || this.session === undefined || !this.#isWholeOpen()) return false;
    if (this.#isUsedThroughOwner || !this.#isUsedByItself || (access === 'write' && this.#hasWork)) return true;
    return this.#enclosing !== undefined && this.#enclosing.#takes(owner, access);
  }

  #isBegunIn(other: TransactionScope): boolean {
    let scope = this.#before;
    while (scope !== undefined && scope !== other) scope = scope.#before;
    return scope !== undefined;
  }

  #isWholeOpen(): boolean {
    return this.#isOpen && (this.#enclosing === undefined || this.#enclosing.#isWholeOpen());
  }
}

function noop(): void {}

const flow = new AsyncLocalStorage<TransactionScope>();

/** How many transactions are open. */
let open = 0;
