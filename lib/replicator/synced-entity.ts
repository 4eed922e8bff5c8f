// One entity as a sync sees it on a service: its name there, its schema, and the fields that are copied.
import { ReplicaverseError } from '../errors.js';
import { ForeignDialect } from '../orm/foreign-dialect.js';
import { NativeSession } from '../orm/native-session.js';
import { getAllSchemas } from '../orm/registry.js';
import { BaseRepository } from '../orm/repository.js';
import type { IDialect } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';

/** What a sync asks of either side. An `EntityService` is one; so is any object with these methods. */
export interface SyncService {
  findAll(entity: string, filter?: DalFilter, options?: QueryOptions): Promise<EntityRecord[]>;
  create(entity: string, data: object): Promise<unknown>;
  update(entity: string, id: EntityIdentity, data: object): Promise<unknown>;
  delete(entity: string, id: EntityIdentity): Promise<boolean>;
  /** Gives the schema and reads relations, where there are any. */
  getRepo?(entity: string): unknown;
  getEntityNames?(): string[];
  hasEntity?(entity: string): boolean;
  readonly dialect?: unknown;
}

/** What is used of a repository. */
interface Repository {
  readonly schema?: EntityDeclaration;
  readonly dialect?: unknown;
  findAll?(filter: DalFilter, options?: QueryOptions): Promise<EntityRecord[]>;
  findWithRelations?(filter: DalFilter, relations: readonly string[], options?: QueryOptions): Promise<EntityRecord[]>;
}

/** One entity of a sync. */
export interface SyncedEntity {
  readonly name: string;
  readonly schema: EntityDeclaration | undefined;
  readonly softDelete: boolean;
  /** Keys of rows that are no content: they cannot be written, or the other side of a relation holds them. */
  readonly passedOver: ReadonlySet<string>;
  /** The many-to-many relations whose links are copied as lists of ids. */
  readonly lists: readonly string[];
  /** The columns that refer to other rows, by the names of their relations. */
  readonly references: ReadonlyMap<string, string>;
  /** Whether plain reads put other rows in place of ids, so that what was read so is not all there is to know. */
  readonly eager: boolean;
  /** Whether both sides keep the `updatedAt` that they are given, so that it is compared too. */
  readonly comparesUpdatedAt: boolean;
}

/** Which rows `readRows` gives, and how. */
export interface Reading {
  filter: DalFilter;
  options: QueryOptions;
}

/** The names of the entities that a rule names, with `'*'` replaced by all that the service knows. */
export function entityNames(service: SyncService, collections: readonly string[]): string[] {
  const names = collections.flatMap((collection) => (collection === '*' ? (service.getEntityNames?.() ?? []) : [collection]));
  return [...new Set(names.map((name) => schemaOf(service, name)?.name ?? name))];
}

/**
 * The entity of a name, as a sync between two services sees it.
 *
 * @param withLists whether the links of many-to-many relations are copied
 */
export function syncedEntity(source: SyncService, target: SyncService, name: string, withLists = false, known?: EntityDeclaration): SyncedEntity {
  const schema = known ?? schemaOf(source, name) ?? schemaOf(target, name);
  const passedOver = new Set(['_id', '__v', 'deletedAt']);
  const references = new Map<string, string>();
  const lists: string[] = [];
  for (const [relation, { type, joinColumn, mappedBy }] of Object.entries(schema?.relations ?? {})) {
    if (type === 'one-to-many' || mappedBy !== undefined) passedOver.add(relation);
    else if (type !== 'many-to-many') references.set(relation, joinColumn ?? relation);
    else if (withLists) lists.push(relation);
    // A plain read gives an empty list for every many-to-many relation, and writing that would remove the links.
    else passedOver.add(relation);
  }
  return {
    name,
    schema,
    softDelete: schema?.softDelete ?? false,
    passedOver,
    lists,
    references,
    eager: isEager(schema),
    comparesUpdatedAt: isNative(source) && isNative(target),
  };
}

/** The row with ids in place of the rows that it refers to. */
export function withIds<T extends object>(row: T, { references }: SyncedEntity): T {
  const fields = row as Record<string, unknown>;
  for (const [relation, column] of references) {
    const value = fields[relation];
    if (typeof value === 'object' && value !== null && 'id' in value) fields[column] = value.id;
    if (relation !== column) delete fields[relation];
  }
  return row;
}

/** Whether a service can read the links of many-to-many relations. */
export function canReadLinks(service: SyncService, name: string): boolean {
  if (service.dialect instanceof ForeignDialect && !service.dialect.has('findWithRelations')) return false;
  return typeof repositoryOf(service, name)?.findWithRelations === 'function';
}

/**
 * Rows of an entity as they are stored, with ids in place of other rows, and with the links of its many-to-many relations as
 * lists of ids where they are copied.
 */
export async function readRows(service: SyncService, entity: SyncedEntity, { filter, options }: Reading): Promise<EntityRecord[]> {
  const { name, lists, eager } = entity;
  const repository = eager ? lazyRepository(repositoryOf(service, name)) : repositoryOf(service, name);
  if (lists.length === 0) {
    const rows = eager && repository?.findAll !== undefined ? await repository.findAll(filter, options) : await service.findAll(name, filter, options);
    return rows.map((row) => withIds(row, entity));
  }
  if (typeof repository?.findWithRelations !== 'function') {
    throw new ReplicaverseError(`${name}: the service cannot read relations: its repository has no findWithRelations`, {
      kind: 'Unsupported',
      code: 'ERR_UNSUPPORTED',
    });
  }
  const rows = await repository.findWithRelations(filter, lists, options);
  for (const row of rows) for (const list of lists) row[list] = idsOf(row[list]);
  return rows.map((row) => withIds(row, entity));
}

const lazySchemas = new WeakMap<EntityDeclaration, EntityDeclaration>();

/** The repository without eager relations, by which references to rows that are hidden would be read as null. */
function lazyRepository(repository: Repository | undefined): Repository | undefined {
  const { schema, dialect } = repository ?? {};
  if (schema === undefined || !(dialect instanceof NativeSession)) return repository;
  let lazy = lazySchemas.get(schema);
  if (lazy === undefined) {
    const relations = Object.entries(schema.relations ?? {}).map(([name, relation]) => [name, { ...relation, fetch: 'lazy' as const }]);
    lazy = { ...schema, relations: Object.fromEntries(relations) as EntityDeclaration['relations'] & object };
    lazySchemas.set(schema, lazy);
  }
  return new BaseRepository(lazy, dialect as unknown as IDialect);
}

function isEager(schema: EntityDeclaration | undefined): boolean {
  return Object.values(schema?.relations ?? {}).some(({ fetch }) => fetch === 'eager');
}

/** The ids that a value of a many-to-many relation lists, given as rows or as ids. */
function idsOf(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown) => (typeof item === 'object' && item !== null && 'id' in item ? item.id : item));
}

function schemaOf(service: SyncService, name: string): EntityDeclaration | undefined {
  return repositoryOf(service, name)?.schema ?? getAllSchemas().find((schema) => schema.name === name || schema.collection === name);
}

function repositoryOf(service: SyncService, name: string): Repository | undefined {
  if (service.hasEntity?.(name) === false) return undefined;
  try {
    return service.getRepo?.(name) as Repository | undefined;
  } catch {
    // The read or write that follows says what is wrong with the name.
    return undefined;
  }
}

function isNative(service: SyncService): boolean {
  return service.dialect instanceof NativeSession;
}
