// Entities by their names, with an event after each write.
import { configError, unknownEntityError } from '../errors.js';
import type { IDialect } from '../types/dialect.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { OrmRequest, OrmResponse } from '../types/request.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import { deleteKnown, updateKnown } from './bulk-writes.js';
import { completeSchema, registeredSchemas } from './registry.js';
import { BaseRepository } from './repository.js';
import { answer } from './request-answering.js';
import { WriteEmitter } from './service-events.js';

/**
 * Entities by their names, over any object with the methods of a dialect. After a write has succeeded an event tells
 * of it; a write in a transaction of {@link dialect} makes no event, because it may yet be undone.
 *
 * Every method rejects with code `ENTITY_NOT_FOUND` for an entity that is not registered. A listener that throws does
 * not change the outcome of the write, which has already happened, and does not keep other listeners from being
 * called: what it throws is emitted as `error`, or without a listener for that becomes a process warning.
 */
export class EntityService extends WriteEmitter {
  /** The database. */
  readonly dialect: IDialect;
  readonly #schemas: ReadonlyMap<string, EntitySchema> | null;

  /**
   * @param schemas the entities that this service knows; without them, all that are registered, also later
   * @throws {ReplicaverseError} of kind `Config` when there is no dialect, or `Schema` when something is no schema.
   */
  constructor(dialect: IDialect, schemas?: readonly EntityDeclaration[]) {
    super();
    const given: unknown = dialect;
    if (typeof given !== 'object' || given === null || given instanceof Promise) {
      const found = given instanceof Promise ? 'a promise of one (is an await missing?)' : String(given);
      throw configError(`EntityService: expected a dialect, found ${found}`);
    }
    this.dialect = dialect;
    this.#schemas = schemas === undefined ? null : byName(schemas.map(completeSchema));
  }

  /** The rows that pass the filter. */
  async findAll<T = EntityRecord>(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<T[]> {
    return await this.getRepo<T>(entity).findAll(filter, options);
  }

  /** The first row that passes the filter, `null` if there is none. */
  async findOne<T = EntityRecord>(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<T | null> {
    return await this.getRepo<T>(entity).findOne(filter, options);
  }

  /** The row of an id, of `{id}`, or of the fields of a unique index; `null` if there is none. */
  async findById<T = EntityRecord>(entity: string, id: EntityIdentity, options?: QueryOptions): Promise<T | null> {
    return await this.dialect.findById<T>(this.getEntitySchema(entity), id, options);
  }

  /** The rows that pass the filter, with what these relations lead to: the row or `null`, or a list of rows. */
  async findWithRelations<T = EntityRecord>(
    entity: string,
    filter: DalFilter | undefined,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T[]> {
    return await this.getRepo<T>(entity).findWithRelations(filter, relations, options);
  }

  /** The row of an id, with what these relations lead to; `null` if there is none. */
  async findByIdWithRelations<T = EntityRecord>(
    entity: string,
    id: EntityIdentity,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T | null> {
    return await this.getRepo<T>(entity).findByIdWithRelations(id, relations, options);
  }

  /** How many rows pass the filter. */
  async count(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return await this.getRepo(entity).count(filter, options);
  }

  /** The different values of a field, in ascending order; of an array field its items. `null` is not among them. */
  async distinct<V = unknown>(entity: string, field: string, filter?: DalFilter, options?: DeletedOption): Promise<V[]> {
    return await this.getRepo(entity).distinct<V>(field, filter, options);
  }

  /** The rows that the stages of an aggregation make. */
  async aggregate<R = Record<string, unknown>>(
    entity: string,
    stages: readonly AggregateStage[],
    options?: DeletedOption,
  ): Promise<R[]> {
    return await this.getRepo(entity).aggregate<R>(stages, options);
  }

  /** The rows that hold a text, in either case of its letters, in one of the entity's texts, or of these fields. */
  async search<T = EntityRecord>(entity: string, query: string, options?: QueryOptions, fields?: readonly string[]): Promise<T[]> {
    const repository = this.getRepo<T>(entity);
    if (fields === undefined) return await repository.search(query, options);
    return await this.dialect.search<T>(repository.schema, query, fields, options);
  }

  /** Inserts a row, gives it as stored, and emits `entity.created`. */
  async create<T = EntityRecord>(entity: string, data: object): Promise<T> {
    const row = await this.dialect.create<T>(this.getEntitySchema(entity), data);
    this.tell('entity.created', { entity, data: row as EntityRecord });
    return row;
  }

  /** Changes the row of an id and gives it as stored. Emits `entity.updated` if there was one, else gives `null`. */
  async update<T = EntityRecord>(entity: string, id: EntityIdentity, data: object): Promise<T | null> {
    return this.#updated(entity, id, await this.getRepo<T>(entity).update(id, data));
  }

  /**
   * Changes every row that passes the filter, and emits `entity.updatedMany`; how many there were. Where `entity.updated` has
   * listeners, it is emitted for each row; the rows are then held in memory until they have been told of.
   */
  async updateMany(entity: string, filter: DalFilter, data: object): Promise<number> {
    const repository = this.getRepo(entity);
    const isHeard = this.listenerCount('entity.updated') > 0;
    const { count, rows } = isHeard
      ? await updateKnown(repository, filter, data)
      : { count: await repository.updateMany(filter, data), rows: [] };
    for (const row of rows) this.tell('entity.updated', { entity, id: row.id, data: row });
    if (count > 0) this.tell('entity.updatedMany', { entity, filter, data, count });
    return count;
  }

  /** Deletes the row of an id, and emits `entity.deleted` if there was one; whether there was. */
  async delete(entity: string, id: EntityIdentity): Promise<boolean> {
    const deleted = await this.getRepo(entity).delete(id);
    if (deleted) this.tell('entity.deleted', { entity, id });
    return deleted;
  }

  /**
   * Deletes every row that passes the filter, and emits `entity.deletedMany`; how many there were. Where `entity.deleted` has
   * listeners, it is emitted for each row.
   */
  async deleteMany(entity: string, filter: DalFilter): Promise<number> {
    const repository = this.getRepo(entity);
    const isHeard = this.listenerCount('entity.deleted') > 0;
    const { count, ids } = isHeard
      ? await deleteKnown(repository, filter)
      : { count: await repository.deleteMany(filter), ids: [] };
    for (const id of ids) this.tell('entity.deleted', { entity, id });
    if (count > 0) this.tell('entity.deletedMany', { entity, filter, count });
    return count;
  }

  /** Changes the first row that passes the filter or inserts one, gives it as stored, and emits `entity.upserted`. */
  async upsert<T = EntityRecord>(entity: string, filter: DalFilter, data: object): Promise<T> {
    const row = await this.getRepo<T>(entity).upsert(filter, data);
    this.tell('entity.upserted', { entity, data: row as EntityRecord });
    return row;
  }

  /** Adds an amount to a number field of one row, and emits `entity.updated`; the row, `null` if there is none. */
  async increment<T = EntityRecord>(entity: string, id: EntityIdentity, field: string, amount: number | bigint): Promise<T | null> {
    return this.#updated(entity, id, await this.getRepo<T>(entity).increment(id, field, amount));
  }

  /** Adds a value to a list of one row, unless it is in it, and emits `entity.updated`; the row, `null` if there is none. */
  async addToSet<T = EntityRecord>(entity: string, id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    return this.#updated(entity, id, await this.getRepo<T>(entity).addToSet(id, field, value));
  }

  /** Removes a value from a list of one row, and emits `entity.updated`; the row, `null` if there is none. */
  async pull<T = EntityRecord>(entity: string, id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    return this.#updated(entity, id, await this.getRepo<T>(entity).pull(id, field, value));
  }

  /**
   * Carries out an operation that is given as data. It never rejects: what is missing, unknown or goes wrong is in the
   * answer, with a code.
   */
  async execute<T = unknown>(request: OrmRequest): Promise<OrmResponse<T>> {
    return (await answer(this, request)) as OrmResponse<T>;
  }

  /**
   * The repository of an entity. What is written through it makes no events.
   *
   * @throws {ReplicaverseError} with code `ENTITY_NOT_FOUND`.
   */
  getRepo<T = EntityRecord>(entity: string): BaseRepository<T> {
    return new BaseRepository<T>(this.getEntitySchema(entity), this.dialect);
  }

  /** The names of the entities. */
  getEntityNames(): string[] {
    return [...this.#known().keys()];
  }

  /**
   * The schema of an entity.
   *
   * @throws {ReplicaverseError} with code `ENTITY_NOT_FOUND`.
   */
  getEntitySchema(entity: string): EntitySchema {
    const schema = this.#known().get(entity);
    if (schema === undefined) throw unknownEntityError(entity, this.#known().keys());
    return schema;
  }

  /** Whether there is an entity of this name. */
  hasEntity(entity: string): boolean {
    return this.#known().has(entity);
  }

  #known(): ReadonlyMap<string, EntitySchema> {
    return this.#schemas ?? registeredSchemas();
  }

  #updated<T>(entity: string, id: EntityIdentity, row: T | null): T | null {
    if (row !== null) this.tell('entity.updated', { entity, id, data: row as EntityRecord });
    return row;
  }
}

function byName(schemas: readonly EntitySchema[]): ReadonlyMap<string, EntitySchema> {
  return new Map(schemas.map((schema) => [schema.name, schema]));
}
