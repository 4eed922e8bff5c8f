// The dialect of every built-in database, and the transactions on it.
import { closedError, configError, fromNative, ReplicaverseError } from '../errors.js';
import { native } from '../native.js';
import type { NativeDialect } from '../../native.js';
import type { ConnectionConfig, DialectType } from '../types/connection.js';
import type { IDialect, ITransaction, TransactionHandle, TransactionOptions } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { flagOf, nativeConfig } from './connection-config.js';
import { EntityHandles } from './entity-handles.js';
import { NativeSession } from './native-session.js';
import { RowCreations } from './row-creations.js';
import { statementPrinter } from './statement-printing.js';
import { type Access, TransactionScope } from './transaction-flow.js';
import { hasOperators, updateByOperators, updateManyByOperators } from './update-operators.js';

/** A session that can start transactions: a database, or a transaction with its savepoints. */
abstract class TransactionalSession extends NativeSession implements IDialect {
  abstract connect(config: ConnectionConfig): Promise<void>;
  abstract disconnect(): Promise<void>;

  /**
   * The database, and the transaction that another one would be a savepoint of.
   *
   * @internal
   */
  protected abstract surroundings(): { database: NativeBackedDialect; enclosing: TransactionScope | undefined };

  /**
   * Runs `work` in a transaction, which it is given as a dialect: commits when it resolves, rolls back and rethrows when it rejects.
   * Within a transaction this is a savepoint; those that are begun at once run one after the other. What `work` does through the
   * dialect of the database, and through repositories on it, belongs to the transaction as well.
   */
  async $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    const scope = this.#newScope();
    return await scope.inTurn(async () => {
      const tx = await this.#begin(scope, options);
      const result = await rollingBack(tx, () => scope.run(() => work(tx)));
      await tx.commit();
      return result;
    });
  }

  /**
   * Starts a transaction, which the caller ends by `commit()` or `rollback()`; within a transaction, a savepoint. What the
   * caller then does through the dialect of the database belongs to it as well.
   */
  beginTx(options?: TransactionOptions): Promise<ITransaction> {
    const scope = this.#newScope();
    const begun = this.#begin(scope, options);
    // Now, and not when it is begun: by then this would be another flow than the caller's.
    scope.enter();
    return begun;
  }

  /** Commits a transaction. */
  async commitTx(tx: TransactionHandle): Promise<void> {
    await transaction(tx).commit();
  }

  /** Rolls a transaction back. */
  async rollbackTx(tx: TransactionHandle): Promise<void> {
    await transaction(tx).rollback();
  }

  /**
   * Changes the row of an id and gives it as stored, `null` if there is none. Beside fields the data may hold `$set`, `$unset`,
   * `$inc`, `$addToSet` and `$pull`.
   */
  override async update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
    if (hasOperators(data)) return await updateByOperators<T>(this, schema, id, data);
    return await super.update<T>(schema, id, data);
  }

  /** Changes every row that passes the filter, as {@link update}; how many there were. */
  override async updateMany(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number> {
    if (hasOperators(data)) return await updateManyByOperators(this, schema, filter, data);
    return await super.updateMany(schema, filter, data);
  }

  #newScope(): TransactionScope {
    const { database, enclosing } = this.surroundings();
    return new TransactionScope(database, enclosing);
  }

  async #begin(scope: TransactionScope, options: TransactionOptions | undefined): Promise<NativeTransaction> {
    try {
      const session = await this.begin(options);
      const tx = new NativeTransaction(session, this.surroundings().database, scope);
      scope.begun(session, tx);
      return tx;
    } catch (error) {
      scope.ended();
      throw error;
    }
  }
}

async function rollingBack<T>(tx: ITransaction, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A rollback that fails leaves the transaction to the database, which undoes it with the connection; what the
    // caller needs to know is why the work failed.
    await tx.rollback().catch(() => undefined);
    throw error;
  }
}

/** A database of a built-in dialect, by the native core. */
export class NativeBackedDialect extends TransactionalSession {
  /** @internal */
  protected readonly entities = new EntityHandles();
  #session: NativeDialect | null = null;
  #rowCreations: RowCreations | undefined;
  #dialectType: DialectType | null = null;
  #tablePrefix = '';

  /**
   * A dialect of a database that the native core has connected.
   *
   * @param schemas the entities whose tables have been brought into being there
   * @internal
   */
  static of(session: NativeDialect, schemas: readonly EntityDeclaration[] = []): NativeBackedDialect {
    const dialect = new NativeBackedDialect();
    dialect.entities.add(schemas);
    dialect.#session = session;
    dialect.#dialectType = session.dialectType as DialectType;
    dialect.#rowCreations = rowCreationsOf(session);
    return dialect;
  }

  /**
   * What the native core knows of a dialect, and the prefix of its tables, which only statements about entities have.
   *
   * @internal
   */
  static native(dialect: NativeBackedDialect): { session: NativeDialect; tablePrefix: string } {
    return { session: dialect.#connected(), tablePrefix: dialect.#tablePrefix };
  }

  /**
   * The entities that a database knows, which its transactions know too.
   *
   * @internal
   */
  static entitiesOf(database: NativeBackedDialect): EntityHandles {
    return database.entities;
  }

  /** @internal */
  static isConnected(database: NativeBackedDialect): boolean {
    return database.#session !== null;
  }

  /**
   * Which database this is; known from the first `connect` on.
   *
   * @throws {ReplicaverseError} of kind `Closed` before.
   */
  get dialectType(): DialectType {
    if (this.#dialectType === null) throw closedError('the dialect is not connected');
    return this.#dialectType;
  }

  /**
   * Connects to a database. Tables are left to `initSchema`.
   *
   * @throws {ReplicaverseError} naming a wrong setting, or saying why the database cannot be reached.
   */
  async connect(config: ConnectionConfig): Promise<void> {
    if (this.#session !== null) throw configError('the dialect is already connected; disconnect it first');
    const settings = nativeConfig(config);
    const printing = { formatted: flagOf('formatSql', config), highlighted: flagOf('highlightSql', config) };
    const print = flagOf('showSql', config) ? statementPrinter(printing) : undefined;
    this.#session = await fromNative(() => native.openDialect(settings, print));
    this.#dialectType = this.#session.dialectType as DialectType;
    // What is printed is what each call has done, before it is answered.
    this.#rowCreations = print === undefined ? rowCreationsOf(this.#session) : undefined;
    this.#tablePrefix = settings.tablePrefix ?? '';
  }

  /**
   * Closes every connection; calling it again does nothing. A transaction that the caller is in is rolled back.
   */
  async disconnect(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    this.#rowCreations?.flush();
    try {
      // It could not end before this does.
      for (const { session: open } of TransactionScope.openIn(this)) await fromNative(() => open?.rollback()).catch(() => undefined);
      await fromNative(() => session.disconnect());
    } finally {
      this.#session = null;
      this.#rowCreations = undefined;
    }
  }

  override async $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    const outer = this.#dialectType === 'mongodb' ? TransactionScope.around(this, 'write') : undefined;
    return outer === undefined ? await super.$transaction(work, options) : await partOf(outer, work);
  }

  /** @internal */
  protected session(access: Access): NativeDialect {
    return TransactionScope.around(this, access)?.session ?? this.#connected();
  }

  /** @internal */
  protected rowCreations(): RowCreations | undefined {
    return TransactionScope.around(this, 'write') === undefined ? this.#rowCreations : undefined;
  }

  /** @internal */
  protected surroundings(): { database: NativeBackedDialect; enclosing: TransactionScope | undefined } {
    return { database: this, enclosing: TransactionScope.around(this, 'write') };
  }

  #connected(): NativeDialect {
    if (this.#session === null) throw closedError('the dialect is not connected');
    this.#rowCreations?.flush();
    return this.#session;
  }
}

/** Only a file is written in less time than it takes to hand a call to another thread. */
function rowCreationsOf(session: NativeDialect): RowCreations | undefined {
  return session.dialectType === 'sqlite' ? new RowCreations(session) : undefined;
}

/**
 * Runs work as a part of a transaction where there are no savepoints: if the part fails, so does the whole, which can only be
 * rolled back then.
 */
async function partOf<T>({ transaction, session }: TransactionScope, work: (tx: IDialect) => T | Promise<T>): Promise<T> {
  try {
    return await work(transaction as IDialect);
  } catch (error) {
    await fromNative(() => session?.rollback()).catch(() => undefined);
    throw error;
  }
}

/** A transaction on a database of a built-in dialect. One that is forgotten is rolled back. */
class NativeTransaction extends TransactionalSession implements ITransaction {
  /** @internal */
  readonly scope: TransactionScope;
  protected readonly entities: EntityHandles;
  readonly #session: NativeDialect;
  readonly #database: NativeBackedDialect;

  constructor(session: NativeDialect, database: NativeBackedDialect, scope: TransactionScope) {
    super();
    this.#session = session;
    this.#database = database;
    this.entities = NativeBackedDialect.entitiesOf(database);
    this.scope = scope;
  }

  get id(): string {
    return this.scope.id;
  }

  get startedAt(): number {
    return this.scope.startedAt;
  }

  get depth(): number {
    return this.scope.depth;
  }

  get dialectType(): DialectType {
    return this.#session.dialectType as DialectType;
  }

  override async $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    return this.dialectType === 'mongodb' ? await partOf(this.scope, work) : await super.$transaction(work, options);
  }

  async commit(): Promise<void> {
    this.scope.ended();
    await fromNative(() => this.#session.commit());
  }

  async rollback(): Promise<void> {
    this.scope.ended();
    await fromNative(() => this.#session.rollback());
  }

  async connect(): Promise<void> {
    throw transactionError('a transaction cannot be connected; connect the dialect that it belongs to');
  }

  async disconnect(): Promise<void> {
    throw transactionError('a transaction cannot be disconnected; commit it or roll it back');
  }

  /** @internal */
  protected surroundings(): { database: NativeBackedDialect; enclosing: TransactionScope | undefined } {
    return { database: this.#database, enclosing: this.scope };
  }

  protected session(): NativeDialect {
    this.scope.used();
    return this.#session;
  }

  /** Its rows are part of a transaction already. */
  protected rowCreations(): undefined {
    return undefined;
  }
}

function transaction(handle: TransactionHandle | null | undefined): ITransaction {
  const tx = handle as Partial<ITransaction> | null | undefined;
  if (typeof tx?.commit === 'function' && typeof tx.rollback === 'function') return tx as ITransaction;
  throw transactionError('expected a transaction that beginTx gave');
}

function transactionError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Transaction', code: 'ERR_TRANSACTION' });
}
