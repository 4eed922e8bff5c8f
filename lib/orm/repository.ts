// The operations of a dialect on one entity.
import type { IDialect } from '../types/dialect.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration, FieldType } from '../types/schema.js';
import { resolveLookup } from './row-lookup.js';

/** The rows of one entity. */
export class BaseRepository<T = EntityRecord> {
  /** The entity. */
  readonly schema: EntityDeclaration;
  /** Where its rows are: a database, or a transaction. */
  readonly dialect: IDialect;

  constructor(schema: EntityDeclaration, dialect: IDialect) {
    this.schema = schema;
    this.dialect = dialect;
  }

  /** The rows that pass the filter. */
  async findAll(filter?: DalFilter, options?: QueryOptions): Promise<T[]> {
    return await this.dialect.find<T>(this.schema, filter ?? {}, options);
  }

  /** The first row that passes the filter, `null` if there is none. */
  async findOne(filter?: DalFilter, options?: QueryOptions): Promise<T | null> {
    return await this.dialect.findOne<T>(this.schema, filter ?? {}, options);
  }

  /**
   * The row of an id, of `{id}`, or of the fields of a unique index; `null` if there is none, or nothing is given.
   *
   * @throws {OrmIntrospectionError} for anything else.
   */
  async findById(id: EntityIdentity | null | undefined, options?: QueryOptions): Promise<T | null> {
    const lookup = resolveLookup(this.schema, id);
    if (lookup.kind === 'empty') return null;
    if (lookup.kind === 'natural') return await this.dialect.findOne<T>(this.schema, lookup.filter, options);
    return await this.dialect.findById<T>(this.schema, id as EntityIdentity, options);
  }

  /** The rows that pass the filter, with what relations lead to: the row or `null`, or a list of rows. */
  async findWithRelations<R = T>(
    filter: DalFilter | undefined,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<R[]> {
    return await this.dialect.findWithRelations<R>(this.schema, filter ?? {}, relations, options);
  }

  /** The row of an id, with what relations lead to; `null` if there is none. */
  async findByIdWithRelations<R = T>(
    id: EntityIdentity,
    relations: readonly string[] = [],
    options?: QueryOptions,
  ): Promise<R | null> {
    return await this.dialect.findByIdWithRelations<R>(this.schema, id, relations, options);
  }

  /** How many rows pass the filter. */
  async count(filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return await this.dialect.count(this.schema, filter ?? {}, options);
  }

  /** Inserts a row and gives it as stored. */
  async create(data: object): Promise<T> {
    return await this.dialect.create<T>(this.schema, data);
  }

  /** Changes the row of an id and gives it as stored, `null` if there is none. */
  async update(id: EntityIdentity, data: object): Promise<T | null> {
    return await this.dialect.update<T>(this.schema, id, data);
  }

  /** Deletes the row of an id; whether there was one. */
  async delete(id: EntityIdentity): Promise<boolean> {
    return await this.dialect.delete(this.schema, id);
  }

  /** Changes the first row that passes the filter, or inserts the data with the filter's equalities. */
  async upsert(filter: DalFilter, data: object): Promise<T> {
    return await this.dialect.upsert<T>(this.schema, filter, data);
  }

  /** Changes every row that passes the filter; how many there were. */
  async updateMany(filter: DalFilter, data: object): Promise<number> {
    return await this.dialect.updateMany(this.schema, filter, data);
  }

  /** Deletes every row that passes the filter; how many there were. */
  async deleteMany(filter: DalFilter): Promise<number> {
    return await this.dialect.deleteMany(this.schema, filter);
  }

  /** The different values of a field, in ascending order; of an array field its items. `null` is not among them. */
  async distinct<V = unknown>(field: string, filter?: DalFilter, options?: DeletedOption): Promise<V[]> {
    return await this.dialect.distinct<V>(this.schema, field, filter ?? {}, options);
  }

  /** The rows that the stages of an aggregation make. */
  async aggregate<R = Record<string, unknown>>(stages: readonly AggregateStage[], options?: DeletedOption): Promise<R[]> {
    return await this.dialect.aggregate<R>(this.schema, stages, options);
  }

  /**
   * The rows that hold a text, in either case of its letters, in one of the entity's fields of type `string`; where it
   * has none of these, of type `text`.
   */
  async search(query: string, options?: QueryOptions): Promise<T[]> {
    return await this.dialect.search<T>(this.schema, query, this.#searched(), options);
  }

  /** Adds an amount to a number field of one row, atomically; the row as it then is, `null` if there is none. */
  async increment(id: EntityIdentity, field: string, amount: number | bigint): Promise<T | null> {
    return await this.dialect.increment<T>(this.schema, id, field, amount);
  }

  /** Adds a value to an array field or a many-to-many relation of one row, unless it is in it, atomically. */
  async addToSet(id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    return await this.dialect.addToSet<T>(this.schema, id, field, value);
  }

  /** Removes a value from an array field or a many-to-many relation of one row, atomically. */
  async pull(id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    return await this.dialect.pull<T>(this.schema, id, field, value);
  }

  #searched(): string[] {
    const fields = Object.entries(this.schema.fields ?? {});
    const ofType = (type: FieldType) => fields.filter(([, field]) => field.type === type).map(([name]) => name);
    const strings = ofType('string');
    return strings.length > 0 ? strings : ofType('text');
  }
}

/** What can be done with the rows of one entity. */
export type IRepository<T = EntityRecord> = Omit<BaseRepository<T>, 'schema' | 'dialect'>;
