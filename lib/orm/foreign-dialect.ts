// A dialect of the application's own, with what its object lacks emulated or refused by name.
import { randomUUID } from 'node:crypto';
import { ReplicaverseError } from '../errors.js';
import type { ConnectionConfig } from '../types/connection.js';
import type { IDialect, ITransaction, RunResult, TransactionHandle, TransactionOptions } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { ForeignRows, methodOf } from './foreign-rows.js';
import { completeSchema } from './registry.js';
import { hasOperators, updateByOperators, updateManyByOperators } from './update-operators.js';

/**
 * Any object with the methods of a dialect, seen as one. `find`, `create`, `update` and `delete` are what it must have, when
 * they are used. `connect`, `disconnect` and `initSchema` that are missing do nothing; reads and writes of other kinds that are
 * missing are made of these four. Transactions, aggregation, relations and statements are not emulated: they reject with code
 * `ERR_UNSUPPORTED`, naming the method.
 */
export class ForeignDialect extends ForeignRows implements IDialect {
  readonly #isWithin: boolean;
  #connected = false;

  /** @param isWithin whether the object stands for a transaction */
  constructor(name: string, object: unknown, isWithin = false) {
    super(name, object);
    this.#isWithin = isWithin;
  }

  async connect(config: ConnectionConfig): Promise<void> {
    if (this.has('connect')) await this.call('connect', config);
    this.#connected = true;
  }

  async disconnect(): Promise<void> {
    if (!this.#connected) return;
    this.#connected = false;
    if (this.has('disconnect')) await this.call('disconnect');
  }

  async testConnection(): Promise<boolean> {
    if (!this.has('testConnection')) return this.#connected;
    try {
      return (await this.call('testConnection')) !== false;
    } catch {
      return false;
    }
  }

  async initSchema(schemas: readonly EntityDeclaration[]): Promise<void> {
    if (this.has('initSchema')) await this.call('initSchema', schemas.map(completeSchema));
  }

  async dropTable(collection: string): Promise<void> {
    await this.call('dropTable', collection);
  }

  async truncateTable(collection: string): Promise<void> {
    await this.call('truncateTable', collection);
  }

  async dropSchema(schemas: readonly EntityDeclaration[]): Promise<string[]> {
    return (await this.call('dropSchema', schemas.map(completeSchema))) as string[];
  }

  async truncateAll(schemas: readonly EntityDeclaration[]): Promise<string[]> {
    return (await this.call('truncateAll', schemas.map(completeSchema))) as string[];
  }

  async dropAllTables(): Promise<void> {
    await this.call('dropAllTables');
  }

  async executeQuery<T = Record<string, unknown>>(statement: string, params: readonly unknown[] = []): Promise<T[]> {
    return (await this.call('executeQuery', statement, params)) as T[];
  }

  async executeRun(statement: string, params: readonly unknown[] = []): Promise<RunResult> {
    return (await this.call('executeRun', statement, params)) as RunResult;
  }

  /**
   * As the object does it. Beside fields the data may hold `$set`, `$unset`, `$inc`, `$addToSet` and `$pull`, which are made of
   * the object's methods; one that has none to do this with is given them as they are.
   */
  override async update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
    if (this.#makesOperators(data)) return await updateByOperators<T>(this, schema, id, data);
    return await super.update<T>(schema, id, data);
  }

  /** Changes every row that passes the filter, as {@link update}; how many there were. */
  override async updateMany(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number> {
    if (this.#makesOperators(data)) return await updateManyByOperators(this, schema, filter, data);
    return await super.updateMany(schema, filter, data);
  }

  async $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    // A part of a transaction whose object knows no parts.
    if (this.#isWithin && !this.#beginsTransactions) return await work(this);
    if (this.has('$transaction') || !this.has('beginTx')) {
      return (await this.call('$transaction', (tx: unknown) => work(this.#scoped(tx)), options)) as T;
    }
    const tx = await this.beginTx(options);
    let result: T;
    try {
      result = await work(tx);
    } catch (error) {
      // What the caller needs to know is why the work failed.
      await tx.rollback().catch(() => undefined);
      throw error;
    }
    await tx.commit();
    return result;
  }

  async beginTx(options?: TransactionOptions): Promise<ITransaction> {
    const handle = await this.call('beginTx', options);
    return new ForeignTransaction(this.#scoped(handle), this, handle);
  }

  async commitTx(tx: TransactionHandle): Promise<void> {
    await (tx as ITransaction).commit();
  }

  async rollbackTx(tx: TransactionHandle): Promise<void> {
    await (tx as ITransaction).rollback();
  }

  /** The dialect of a transaction: what the object gives as one, or else the object itself. */
  #scoped(tx: unknown): ForeignDialect {
    return methodOf(tx, 'find') !== undefined && tx !== this.object ? new ForeignDialect(this.dialectType, tx, true) : this;
  }

  protected get isTransactional(): boolean {
    return this.#isWithin || this.#beginsTransactions;
  }

  get #beginsTransactions(): boolean {
    return this.has('$transaction') || this.has('beginTx');
  }

  #makesOperators(data: object): boolean {
    return hasOperators(data) && (this.isTransactional || this.has('increment'));
  }
}

/** A transaction that was begun on a {@link ForeignDialect}. */
class ForeignTransaction extends ForeignDialect implements ITransaction {
  readonly id: string;
  readonly startedAt: number;
  readonly depth: number;
  readonly #owner: ForeignDialect;
  readonly #handle: unknown;
  #ended = false;

  constructor(scope: ForeignDialect, owner: ForeignDialect, handle: unknown) {
    super(scope.dialectType, scope.object, true);
    this.#owner = owner;
    this.#handle = handle;
    const { id, startedAt, depth } = (handle ?? {}) as Partial<TransactionHandle>;
    this.id = typeof id === 'string' ? id : randomUUID();
    this.startedAt = typeof startedAt === 'number' ? startedAt : Date.now();
    this.depth = typeof depth === 'number' ? depth : 1;
  }

  async commit(): Promise<void> {
    if (this.#ended) throw transactionError('the transaction has ended');
    await this.#end('commit', 'commitTx');
  }

  async rollback(): Promise<void> {
    if (!this.#ended) await this.#end('rollback', 'rollbackTx');
  }

  override async connect(): Promise<void> {
    throw transactionError('a transaction cannot be connected; connect the dialect that it belongs to');
  }

  override async disconnect(): Promise<void> {
    throw transactionError('a transaction cannot be disconnected; commit it or roll it back');
  }

  /** @internal */
  override async call(method: string, ...args: unknown[]): Promise<unknown> {
    if (this.#ended) throw transactionError('the transaction has ended');
    return await super.call(method, ...args);
  }

  async #end(ofHandle: 'commit' | 'rollback', ofOwner: 'commitTx' | 'rollbackTx'): Promise<void> {
    this.#ended = true;
    const method = methodOf(this.#handle, ofHandle);
    if (!this.#owner.has(ofOwner) && method !== undefined) await method.call(this.#handle);
    else await this.#owner.call(ofOwner, this.#handle);
  }
}

function transactionError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Transaction', code: 'ERR_TRANSACTION' });
}
