// Entities by their names, with an event after each write.
import { EventEmitter } from 'node:events';
import { unknownEntityError } from '../errors.js';
import type { IDialect } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import { completeSchema, getAllSchemas } from './registry.js';
import { BaseRepository } from './repository.js';

/** The events of an {@link EntityService} and what their listeners are given. */
export interface EntityServiceEvents {
  'entity.created': [event: { entity: string; data: EntityRecord }];
  'entity.updated': [event: { entity: string; id: EntityIdentity; data: EntityRecord }];
  'entity.deleted': [event: { entity: string; id: EntityIdentity }];
  'entity.upserted': [event: { entity: string; data: EntityRecord }];
  /** A listener of another event threw this. */
  error: [error: unknown];
}

type WriteEvent = Exclude<keyof EntityServiceEvents, 'error'>;

/**
 * Entities by their names, over any object with the methods of a dialect. After a write has succeeded an event tells
 * of it; a write in a transaction of {@link dialect} makes no event, because it may yet be undone.
 *
 * Every method rejects with code `ENTITY_NOT_FOUND` for an entity that is not registered. A listener that throws does
 * not change the outcome of the write, which has already happened, and does not keep other listeners from being
 * called: what it throws is emitted as `error`, or without a listener for that becomes a process warning.
 */
export class EntityService extends EventEmitter<EntityServiceEvents> {
  /** The database. */
  readonly dialect: IDialect;
  readonly #schemas: ReadonlyMap<string, EntitySchema> | null;

  /**
   * @param schemas the entities that this service knows; without them, all that are registered, also later
   * @throws {ReplicaverseError} of kind `Schema` when something is no schema.
   */
  constructor(dialect: IDialect, schemas?: readonly EntityDeclaration[]) {
    super();
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
    return await this.getRepo<T>(entity).findById(id, options);
  }

  /** How many rows pass the filter. */
  async count(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return await this.getRepo(entity).count(filter, options);
  }

  /** Inserts a row, gives it as stored, and emits `entity.created`. */
  async create<T = EntityRecord>(entity: string, data: object): Promise<T> {
    const row = await this.getRepo<T>(entity).create(data);
    this.#tell('entity.created', { entity, data: row as EntityRecord });
    return row;
  }

  /** Changes the row of an id and gives it as stored. Emits `entity.updated` if there was one, else gives `null`. */
  async update<T = EntityRecord>(entity: string, id: EntityIdentity, data: object): Promise<T | null> {
    const row = await this.getRepo<T>(entity).update(id, data);
    if (row !== null) this.#tell('entity.updated', { entity, id, data: row as EntityRecord });
    return row;
  }

  /** Deletes the row of an id, and emits `entity.deleted` if there was one; whether there was. */
  async delete(entity: string, id: EntityIdentity): Promise<boolean> {
    const deleted = await this.getRepo(entity).delete(id);
    if (deleted) this.#tell('entity.deleted', { entity, id });
    return deleted;
  }

  /** Changes the first row that passes the filter or inserts one, gives it as stored, and emits `entity.upserted`. */
  async upsert<T = EntityRecord>(entity: string, filter: DalFilter, data: object): Promise<T> {
    const row = await this.getRepo<T>(entity).upsert(filter, data);
    this.#tell('entity.upserted', { entity, data: row as EntityRecord });
    return row;
  }

  /**
   * The repository of an entity. What is written through it makes no events.
   *
   * @throws {ReplicaverseError} with code `ENTITY_NOT_FOUND`.
   */
  getRepo<T = EntityRecord>(entity: string): BaseRepository<T> {
    const schema = this.#known().get(entity);
    if (schema === undefined) throw unknownEntityError(entity, this.#known().keys());
    return new BaseRepository<T>(schema, this.dialect);
  }

  /** The names of the entities. */
  getEntityNames(): string[] {
    return [...this.#known().keys()];
  }

  /** Whether there is an entity of this name. */
  hasEntity(entity: string): boolean {
    return this.#known().has(entity);
  }

  #known(): ReadonlyMap<string, EntitySchema> {
    return this.#schemas ?? byName(getAllSchemas());
  }

  /** Calls each listener for itself, so that none can keep the others from hearing of a write. */
  #tell<E extends WriteEvent>(event: E, ...args: EntityServiceEvents[E]): void {
    for (const listener of this.rawListeners(event) as ((...args: unknown[]) => void)[]) {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  #report(error: unknown): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else process.emitWarning(error instanceof Error ? error : new Error(String(error)));
  }
}

function byName(schemas: readonly EntitySchema[]): ReadonlyMap<string, EntitySchema> {
  return new Map(schemas.map((schema) => [schema.name, schema]));
}
