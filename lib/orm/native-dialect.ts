// The dialect of every built-in database, and the transactions on it.
import { closedError, configError, fromNative, ReplicaverseError } from '../errors.js';
import { native } from '../native.js';
import type { NativeDialect } from '../../native.js';
import type { ConnectionConfig, DialectType } from '../types/connection.js';
import type { IDialect, ITransaction, TransactionOptions } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { flagOf, nativeConfig } from './connection-config.js';
import { EntityHandles } from './entity-handles.js';
import { NativeSession } from './native-session.js';
import { statementPrinter } from './statement-printing.js';

/** A session that can start transactions: a database, or a transaction with its savepoints. */
abstract class TransactionalSession extends NativeSession implements IDialect {
  abstract connect(config: ConnectionConfig): Promise<void>;
  abstract disconnect(): Promise<void>;

  /**
   * Runs `work` in a transaction, which it is given as a dialect: commits when it resolves, rolls back and rethrows
   * when it rejects. Within a transaction this is a savepoint.
   */
  async $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    const tx = await this.beginTx(options);
    const result = await rollingBack(tx, work);
    await tx.commit();
    return result;
  }

  /** Starts a transaction, which the caller ends by `commit()` or `rollback()`; within a transaction, a savepoint. */
  async beginTx(options?: TransactionOptions): Promise<ITransaction> {
    return new NativeTransaction(await this.begin(options), this.entities);
  }

  /** Commits a transaction. */
  async commitTx(tx: ITransaction): Promise<void> {
    await transaction(tx).commit();
  }

  /** Rolls a transaction back. */
  async rollbackTx(tx: ITransaction): Promise<void> {
    await transaction(tx).rollback();
  }
}

async function rollingBack<T>(tx: ITransaction, work: (tx: IDialect) => T | Promise<T>): Promise<T> {
  try {
    return await work(tx);
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
    return dialect;
  }

  /**
   * What the native core knows of a dialect, and the prefix of its tables, which only statements about entities have.
   *
   * @internal
   */
  static native(dialect: NativeBackedDialect): { session: NativeDialect; tablePrefix: string } {
    return { session: dialect.session(), tablePrefix: dialect.#tablePrefix };
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
    const formatted = flagOf('formatSql', config);
    const print = flagOf('showSql', config) ? statementPrinter(formatted) : undefined;
    this.#session = await fromNative(() => native.openDialect(settings, print));
    this.#dialectType = this.#session.dialectType as DialectType;
    this.#tablePrefix = settings.tablePrefix ?? '';
  }

  /** Closes every connection; calling it again does nothing. */
  async disconnect(): Promise<void> {
    if (this.#session === null) return;
    try {
      await this.run((session) => session.disconnect());
    } finally {
      this.#session = null;
    }
  }

  /** @internal */
  protected session(): NativeDialect {
    if (this.#session === null) throw closedError('the dialect is not connected');
    return this.#session;
  }
}

/** A transaction on a database of a built-in dialect. One that is forgotten is rolled back. */
class NativeTransaction extends TransactionalSession implements ITransaction {
  protected readonly entities: EntityHandles;
  readonly #session: NativeDialect;

  constructor(session: NativeDialect, entities: EntityHandles) {
    super();
    this.#session = session;
    this.entities = entities;
  }

  get dialectType(): DialectType {
    return this.#session.dialectType as DialectType;
  }

  async commit(): Promise<void> {
    await this.run((session) => session.commit());
  }

  async rollback(): Promise<void> {
    await this.run((session) => session.rollback());
  }

  async connect(): Promise<void> {
    throw transactionError('a transaction cannot be connected; connect the dialect that it belongs to');
  }

  async disconnect(): Promise<void> {
    throw transactionError('a transaction cannot be disconnected; commit it or roll it back');
  }

  protected session(): NativeDialect {
    return this.#session;
  }
}

function transaction(tx: Partial<ITransaction> | null | undefined): ITransaction {
  if (typeof tx?.commit === 'function' && typeof tx.rollback === 'function') return tx as ITransaction;
  throw transactionError('expected a transaction that beginTx gave');
}

function transactionError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Transaction', code: 'ERR_TRANSACTION' });
}
