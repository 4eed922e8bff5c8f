// The operations that a connected database and a transaction on it share, carried out by the native core.
import { errorFromNative, fromNative, fromNativeAtOnce, ReplicaverseError, schemaError } from '../errors.js';
import type { NativeDialect, NativeSchema } from '../../native.js';
import type { DialectType } from '../types/connection.js';
import type { RunResult, TransactionOptions } from '../types/dialect.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { encodeId, textOf, textsOf } from './arguments.js';
import type { EntityHandles } from './entity-handles.js';
import { nativeSchema } from './native-schema.js';
import { collectRows, rowsOf } from './row-batches.js';
import type { RowCreations } from './row-creations.js';
import { tableListQuery } from './table-list.js';
import type { Access } from './transaction-flow.js';
import { decodeRow, decodeRows } from './value-decoding.js';
import { encodeFilter, encodeOptions, encodeParams, encodeRecord, encodeStages, encodeValue, encodeWriteFilter } from './value-encoding.js';

/** Characters of a record beyond which it is created by itself. */
const LARGEST_SHARED = 16 * 1024;

/** A database or a transaction, seen as rows of entities. Every method rejects with a `ReplicaverseError`. */
export abstract class NativeSession {
  abstract readonly dialectType: DialectType;

  /**
   * The native object that carries out a call.
   *
   * @internal
   */
  protected abstract session(access: Access): NativeDialect;

  /**
   * What writes rows that are created at the same time together, where that can be done.
   *
   * @internal
   */
  protected abstract rowCreations(): RowCreations | undefined;

  /**
   * The entities that the connection knows.
   *
   * @internal
   */
  protected abstract readonly entities: EntityHandles;

  /** Whether the database answers. */
  async testConnection(): Promise<boolean> {
    try {
      await this.#read((session) => session.testConnection());
      return true;
    } catch {
      return false;
    }
  }

  /** Brings the tables of these entities into being, as the schema strategy of the connection says. */
  async initSchema(schemas: readonly EntityDeclaration[]): Promise<void> {
    const handles = handlesOf(schemas);
    this.entities.add(schemas);
    await this.run((session) => session.initSchema(handles));
  }

  /** The rows that pass the filter. */
  async find<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T[]> {
    const handle = this.entities.of(schema);
    const found = await this.#read((session) => session.find(handle, encodeFilter(filter), encodeOptions(options)));
    if (typeof found === 'string' || Array.isArray(found)) return rowsOf(found);
    return fromNative(() => collectRows<T>(found));
  }

  /** The first row that passes the filter, `null` if there is none. */
  async findOne<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T | null> {
    const [row] = await this.find<T>(schema, filter, { ...options, limit: 1 });
    return row ?? null;
  }

  /** The row of an id, of `{id}`, or of the fields of a unique index; `null` if there is none. */
  async findById<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    options?: QueryOptions,
  ): Promise<T | null> {
    const row = this.#atOnce('read', (session) =>
      session.findById(this.entities.of(schema), encodeValue(id, 'id'), encodeOptions(options)),
    );
    return decodeRow(typeof row === 'string' ? row : await row);
  }

  /**
   * The rows that pass the filter, with what relations lead to: under the name of a relation stands the row or `null`,
   * or a list of rows. `author.company` leads further. The options are those of the rows themselves.
   */
  async findWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    filter: DalFilter | undefined,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T[]> {
    const names = textsOf('relations', relations);
    return decodeRows(
      await this.#read((session) =>
        session.findWithRelations(this.entities.of(schema), encodeFilter(filter), names, encodeOptions(options)),
      ),
    );
  }

  /** The row of an id, with what relations lead to, as {@link findWithRelations}; `null` if there is none. */
  async findByIdWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T | null> {
    const names = textsOf('relations', relations);
    const text = encodeValue(id, 'id');
    return decodeRow(
      await this.#read((session) =>
        session.findByIdWithRelations(this.entities.of(schema), text, names, encodeOptions(options)),
      ),
    );
  }

  /** How many rows pass the filter; of the options only `includeDeleted` matters. */
  async count(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return this.#read((session) => session.count(this.entities.of(schema), encodeFilter(filter), encodeOptions(options)));
  }

  /** Inserts a row and gives it as stored. */
  async create<T = EntityRecord>(schema: EntityDeclaration, data: object): Promise<T> {
    const text = encodeRecord(data, 'data');
    const creations = text.length <= LARGEST_SHARED ? this.rowCreations() : undefined;
    if (creations !== undefined) {
      try {
        return (await creations.create(this.entities.of(schema), text)) as T;
      } catch (thrown) {
        throw errorFromNative(thrown);
      }
    }
    const row = this.#atOnce('write', (session) => session.create(this.entities.of(schema), text));
    return decodeRow<T>(typeof row === 'string' ? row : await row) as T;
  }

  /** Changes the row of an id and gives it as stored, `null` if there is none. `id` in the data is passed over. */
  async update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
    return decodeRow(
      await this.run((session) => session.update(this.entities.of(schema), encodeId(id), encodeRecord(data, 'data'))),
    );
  }

  /** Deletes the row of an id, softly where the entity says so; whether there was one. */
  async delete(schema: EntityDeclaration, id: EntityIdentity): Promise<boolean> {
    return this.run((session) => session.delete(this.entities.of(schema), encodeId(id)));
  }

  /** Changes the first row that passes the filter, or inserts the data with the filter's equalities. */
  async upsert<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<T> {
    const text = await this.run((session) =>
      session.upsert(this.entities.of(schema), encodeWriteFilter(filter), encodeRecord(data, 'data')),
    );
    return decodeRow<T>(text) as T;
  }

  /** Changes every row that passes the filter; how many there were. */
  async updateMany(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number> {
    return this.run((session) =>
      session.updateMany(this.entities.of(schema), encodeWriteFilter(filter), encodeRecord(data, 'data')),
    );
  }

  /** Deletes every row that passes the filter, softly where the entity says so; how many there were. */
  async deleteMany(schema: EntityDeclaration, filter: DalFilter): Promise<number> {
    return this.run((session) => session.deleteMany(this.entities.of(schema), encodeWriteFilter(filter)));
  }

  /** The different values of a field, in ascending order; of an array field its items. `null` is not among them. */
  async distinct<V = unknown>(
    schema: EntityDeclaration,
    field: string,
    filter?: DalFilter,
    options?: DeletedOption,
  ): Promise<V[]> {
    const text = await this.#read((session) =>
      session.distinct(this.entities.of(schema), textOf('field', field), encodeFilter(filter), encodeOptions(options)),
    );
    return decodeRows<{ value: V }>(text).map(({ value }) => value);
  }

  /** The rows that the stages of an aggregation make of those of the entity. */
  async aggregate<T = Record<string, unknown>>(
    schema: EntityDeclaration,
    stages: readonly AggregateStage[],
    options?: DeletedOption,
  ): Promise<T[]> {
    return decodeRows(
      await this.#read((session) =>
        session.aggregate(this.entities.of(schema), encodeStages(stages), encodeOptions(options)),
      ),
    );
  }

  /** The rows that hold a text, in either case of its letters, in one of the fields; by default in any text. */
  async search<T = EntityRecord>(
    schema: EntityDeclaration,
    query: string,
    fields: readonly string[] = [],
    options?: QueryOptions,
  ): Promise<T[]> {
    const names = textsOf('fields', fields);
    return decodeRows(
      await this.#read((session) =>
        session.search(this.entities.of(schema), textOf('query', query), names, encodeOptions(options)),
      ),
    );
  }

  /**
   * Adds an amount to a number field of one row, atomically; the row as it then is. Where there is none, one is begun with the
   * amount, as counters need it; `null` where the entity requires more than that.
   */
  async increment<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    field: string,
    amount: number | bigint,
  ): Promise<T | null> {
    const text = encodeValue(amount, 'amount');
    const add = async (): Promise<T | null> =>
      decodeRow(await this.run((session) => session.increment(this.entities.of(schema), encodeId(id), textOf('field', field), text)));
    const row = await add();
    if (row !== null || !canBeginWith(schema, field)) return row;
    try {
      return await this.create<T>(schema, { id: idOf(id), [field]: amount });
    } catch (error) {
      // Someone else has begun it meanwhile, or it is deleted softly.
      if (error instanceof ReplicaverseError && error.kind === 'UniqueViolation') return await add();
      throw error;
    }
  }

  /** Adds a value to an array field or a many-to-many relation of one row, unless it is in it, atomically. */
  async addToSet<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    field: string,
    value: unknown,
  ): Promise<T | null> {
    const text = encodeValue(value, 'value');
    return decodeRow(
      await this.run((session) => session.addToSet(this.entities.of(schema), encodeId(id), textOf('field', field), text)),
    );
  }

  /** Removes a value from an array field or a many-to-many relation of one row, atomically. */
  async pull<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    field: string,
    value: unknown,
  ): Promise<T | null> {
    const text = encodeValue(value, 'value');
    return decodeRow(
      await this.run((session) => session.pull(this.entities.of(schema), encodeId(id), textOf('field', field), text)),
    );
  }

  /** Drops a table or collection, given without the prefix, if it exists. */
  async dropTable(collection: string): Promise<void> {
    await this.run((session) => session.dropTable(textOf('collection', collection)));
  }

  /** Empties a table or collection, given without the prefix. */
  async truncateTable(collection: string): Promise<void> {
    await this.run((session) => session.truncateTable(textOf('collection', collection)));
  }

  /** Drops the tables of these entities with their junctions; their names. */
  async dropSchema(schemas: readonly EntityDeclaration[]): Promise<string[]> {
    return this.run((session) => session.dropSchema(handlesOf(schemas)));
  }

  /** Empties the tables of these entities with their junctions; their names. */
  async truncateAll(schemas: readonly EntityDeclaration[]): Promise<string[]> {
    return this.run((session) => session.truncateAll(handlesOf(schemas)));
  }

  /** Drops every table of the application: with a prefix those that carry it, else all. */
  async dropAllTables(): Promise<void> {
    await this.run((session) => session.dropAllTables());
  }

  /** The statement for {@link executeQuery} that gives a row `{name}` for each table. */
  getTableListQuery(): string {
    return tableListQuery(this.dialectType);
  }

  /** Runs a statement in the database's own language and gives its rows; MongoDB takes a command as JSON text. */
  async executeQuery<T = Record<string, unknown>>(statement: string, params?: readonly unknown[]): Promise<T[]> {
    return decodeRows(await this.#read((session) => session.executeQuery(textOf('statement', statement), encodeParams(params))));
  }

  /** Runs a statement in the database's own language and says how many rows it changed. */
  async executeRun(statement: string, params?: readonly unknown[]): Promise<RunResult> {
    return { changes: await this.run((session) => session.executeRun(textOf('statement', statement), encodeParams(params))) };
  }

  /**
   * Starts a native transaction.
   *
   * @internal
   */
  protected async begin({ isolation }: TransactionOptions = {}): Promise<NativeDialect> {
    const level = isolation == null ? undefined : textOf('isolation', isolation);
    return this.run((session) => session.begin(level));
  }

  /** As {@link run}, without a promise for what is there at once. */
  #atOnce<T>(access: Access, operation: (session: NativeDialect) => T | Promise<T>): T | Promise<T> {
    return fromNativeAtOnce(() => operation(this.session(access)));
  }

  /**
   * Calls the native core, and gives its errors their class and the caller's stack.
   *
   * @internal
   */
  protected run<T>(operation: (session: NativeDialect) => T | Promise<T>): Promise<T> {
    return fromNative(() => operation(this.session('write')));
  }

  /** Calls the native core as {@link run}, for what changes nothing. */
  #read<T>(operation: (session: NativeDialect) => T | Promise<T>): Promise<T> {
    return fromNative(() => operation(this.session('read')));
  }
}

function handlesOf(schemas: readonly EntityDeclaration[]): NativeSchema[] {
  if (!Array.isArray(schemas)) throw schemaError(`schemas: expected a list of entity schemas, found a ${typeof schemas}`);
  return schemas.map((schema: EntityDeclaration) => nativeSchema(schema));
}

/** Whether a row of the entity may have nothing but an id and this field. */
function canBeginWith({ fields = {}, relations = {} }: EntityDeclaration, field: string): boolean {
  const isComplete = Object.entries(fields).every(
    ([name, { required, default: value }]) => required !== true || value !== undefined || name === field || name === 'id',
  );
  return isComplete && Object.values(relations).every(({ required }) => required !== true);
}

function idOf(identity: EntityIdentity): unknown {
  return typeof identity === 'object' && 'id' in identity ? identity.id : identity;
}
