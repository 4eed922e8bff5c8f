// The operations of a dialect on one entity.
import type { IDialect } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';

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

  /** The row of an id, of `{id}`, or of the fields of a unique index; `null` if there is none. */
  async findById(id: EntityIdentity, options?: QueryOptions): Promise<T | null> {
    return await this.dialect.findById<T>(this.schema, id, options);
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
}
