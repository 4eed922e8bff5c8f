// What every dialect can do; any object with these methods serves the classes of this package.
import type { ConnectionConfig, DialectType } from './connection.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from './query.js';
import type { EntityDeclaration } from './schema.js';

/** The options of a transaction. */
export interface TransactionOptions {
  /** `read committed`, `repeatable read` or `serializable`; upper case and underscores are understood. */
  isolation?: string;
}

/** What stands for a transaction that was begun. */
export interface TransactionHandle {
  /** Tells it from every other. */
  readonly id: string;
  /** When it was begun, in milliseconds since 1970. */
  readonly startedAt: number;
  /** 1 for a transaction, more for the savepoints within it. */
  readonly depth: number;
}

/** {@link TransactionHandle}, as applications of other versions call it. */
export type TxHandle = TransactionHandle;

/** The outcome of a statement that returns no rows. */
export interface RunResult {
  /** How many rows were changed. */
  changes: number;
}

/** A database, or one transaction on it, seen as rows of entities. */
export interface IDialect {
  /** Which database this is. */
  readonly dialectType: DialectType;
  connect(config: ConnectionConfig): Promise<void>;
  /** Closes every connection; calling it again does nothing. */
  disconnect(): Promise<void>;
  /** Whether the database answers. */
  testConnection(): Promise<boolean>;
  /** Brings the tables of these entities into being, as the schema strategy says. */
  initSchema(schemas: readonly EntityDeclaration[]): Promise<void>;

  find<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T[]>;
  findOne<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T | null>;
  findById<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, options?: QueryOptions): Promise<T | null>;
  /**
   * The rows that pass the filter, with what relations lead to: under the name of a relation stands the row or `null`,
   * or a list of rows. `author.company` leads further. The options are those of the rows themselves.
   */
  findWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    filter: DalFilter | undefined,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T[]>;
  /** The row of an id, with what relations lead to, as {@link findWithRelations}; `null` if there is none. */
  findByIdWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T | null>;
  count(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<number>;
  /** Inserts a row and gives it as stored. */
  create<T = EntityRecord>(schema: EntityDeclaration, data: object): Promise<T>;
  /** Changes the row of an id and gives it as stored; `null` if there is none. */
  update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null>;
  /** Deletes the row of an id, softly where the entity says so; whether there was one. */
  delete(schema: EntityDeclaration, id: EntityIdentity): Promise<boolean>;
  /** Changes the first row that passes the filter, or inserts the data with the filter's equalities. */
  upsert<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<T>;
  /** Changes every row that passes the filter; how many there were. */
  updateMany(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number>;
  /** Deletes every row that passes the filter, softly where the entity says so; how many there were. */
  deleteMany(schema: EntityDeclaration, filter: DalFilter): Promise<number>;

  /** The different values of a field, in ascending order; of an array field its items. `null` is not among them. */
  distinct<V = unknown>(schema: EntityDeclaration, field: string, filter?: DalFilter, options?: DeletedOption): Promise<V[]>;
  /** The rows that the stages of an aggregation make of those of the entity. */
  aggregate<T = Record<string, unknown>>(
    schema: EntityDeclaration,
    stages: readonly AggregateStage[],
    options?: DeletedOption,
  ): Promise<T[]>;
  /** The rows that hold a text, in either case of its letters, in one of the fields; by default in any text. */
  search<T = EntityRecord>(
    schema: EntityDeclaration,
    query: string,
    fields?: readonly string[],
    options?: QueryOptions,
  ): Promise<T[]>;
  /** Adds an amount to a number field of one row, atomically; the row as it then is, `null` if there is none. */
  increment<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    field: string,
    amount: number | bigint,
  ): Promise<T | null>;
  /** Adds a value to an array field or a many-to-many relation of one row, unless it is in it, atomically. */
  addToSet<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, field: string, value: unknown): Promise<T | null>;
  /** Removes a value from an array field or a many-to-many relation of one row, atomically. */
  pull<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, field: string, value: unknown): Promise<T | null>;

  /** Drops a table or collection, given without the prefix, if it exists. */
  dropTable(collection: string): Promise<void>;
  /** Empties a table or collection, given without the prefix. */
  truncateTable(collection: string): Promise<void>;
  /** Drops the tables of these entities with their junctions; their names. */
  dropSchema(schemas: readonly EntityDeclaration[]): Promise<string[]>;
  /** Empties the tables of these entities with their junctions; their names. */
  truncateAll(schemas: readonly EntityDeclaration[]): Promise<string[]>;
  /** Drops every table of the application: with a prefix those that carry it, else all. */
  dropAllTables(): Promise<void>;

  /** Runs a statement in the database's own language and gives its rows; MongoDB takes a command as JSON text. */
  executeQuery<T = Record<string, unknown>>(statement: string, params?: readonly unknown[]): Promise<T[]>;
  /** Runs a statement in the database's own language and says how many rows it changed. */
  executeRun(statement: string, params?: readonly unknown[]): Promise<RunResult>;

  /** Runs `work` in a transaction: commits when it resolves, rolls back and rethrows when it rejects. */
  $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Starts a transaction; within a transaction, a savepoint. */
  beginTx(options?: TransactionOptions): Promise<ITransaction>;
  commitTx(tx: TransactionHandle): Promise<void>;
  rollbackTx(tx: TransactionHandle): Promise<void>;
}

/** A transaction: every operation of the dialect, on one connection. */
export interface ITransaction extends IDialect, TransactionHandle {
  /** Makes the changes permanent. Afterwards every call rejects. */
  commit(): Promise<void>;
  /** Undoes the changes; after the end it does nothing. */
  rollback(): Promise<void>;
}
