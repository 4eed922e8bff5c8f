// The entity service of a replica: its reads go on at another replica when its own is lost.
import { ReplicaverseError } from '../errors.js';
import { EntityService } from '../orm/index.js';
import type { IDialect } from '../types/dialect.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';

/** What a service asks of the manager that gave it. */
export interface ReplicaSiblings {
  /** The service to read from in place of one whose connection was lost; null where there is none. */
  replace(lost: ReplicaService, error: Error, after: string | undefined): ReplicaService | null;
  /** A token for every write that the master has acknowledged. */
  writeToken(): Promise<string>;
}

/**
 * The entities of a replica. Its reads, also those of `execute`, go to another replica of the project when the connection
 * is lost; writes do not, and neither does what goes through `dialect` or `getRepo`.
 */
export class ReplicaService extends EntityService {
  readonly #direct: EntityService;
  readonly #entities: readonly EntityDeclaration[];
  readonly #siblings: ReplicaSiblings;
  readonly #after: string | undefined;

  /** @internal */
  constructor(dialect: IDialect, entities: readonly EntityDeclaration[], siblings: ReplicaSiblings, after?: string) {
    super(dialect, entities);
    this.#direct = new EntityService(dialect, entities);
    this.#entities = entities;
    this.#siblings = siblings;
    this.#after = after;
  }

  /**
   * A token for every write that the project's master has acknowledged so far, those of this service among them. Given to
   * `resolveReadService` as `after`, it leads to a replica that has them all.
   *
   * @throws {ReplicaverseError} when the master cannot be reached.
   */
  async lastWriteToken(): Promise<string> {
    return await this.#siblings.writeToken();
  }

  /**
   * The same replica for reads that need what was written before the token, also when they go on elsewhere.
   *
   * @internal
   */
  readingAfter(token: string): ReplicaService {
    return new ReplicaService(this.dialect, this.#entities, this.#siblings, token);
  }

  override findAll<T = EntityRecord>(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<T[]> {
    return this.#read((service) => service.findAll<T>(entity, filter, options));
  }

  override findOne<T = EntityRecord>(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<T | null> {
    return this.#read((service) => service.findOne<T>(entity, filter, options));
  }

  override findById<T = EntityRecord>(entity: string, id: EntityIdentity, options?: QueryOptions): Promise<T | null> {
    return this.#read((service) => service.findById<T>(entity, id, options));
  }

  override findWithRelations<T = EntityRecord>(
    entity: string,
    filter: DalFilter | undefined,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T[]> {
    return this.#read((service) => service.findWithRelations<T>(entity, filter, relations, options));
  }

  override findByIdWithRelations<T = EntityRecord>(
    entity: string,
    id: EntityIdentity,
    relations: readonly string[],
    options?: QueryOptions,
  ): Promise<T | null> {
    return this.#read((service) => service.findByIdWithRelations<T>(entity, id, relations, options));
  }

  override count(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return this.#read((service) => service.count(entity, filter, options));
  }

  override distinct<V = unknown>(entity: string, field: string, filter?: DalFilter, options?: DeletedOption): Promise<V[]> {
    return this.#read((service) => service.distinct<V>(entity, field, filter, options));
  }

  override aggregate<R = Record<string, unknown>>(entity: string, stages: readonly AggregateStage[], options?: DeletedOption): Promise<R[]> {
    return this.#read((service) => service.aggregate<R>(entity, stages, options));
  }

  override search<T = EntityRecord>(entity: string, query: string, options?: QueryOptions, fields?: readonly string[]): Promise<T[]> {
    return this.#read((service) => service.search<T>(entity, query, options, fields));
  }

  /** Reads here, and while connections are lost at one other replica after the other; each is tried once. */
  async #read<T>(read: (service: EntityService) => Promise<T>, tried: ReadonlySet<IDialect> = new Set()): Promise<T> {
    try {
      return await read(this.#direct);
    } catch (error) {
      if (!isLostConnection(error)) throw error;
      const next = this.#siblings.replace(this, error, this.#after);
      const triedNow = new Set(tried).add(this.dialect);
      if (next === null || triedNow.has(next.dialect)) throw error;
      return await next.#read(read, triedNow);
    }
  }
}

function isLostConnection(error: unknown): error is ReplicaverseError {
  return error instanceof ReplicaverseError && error.kind === 'Connection';
}
