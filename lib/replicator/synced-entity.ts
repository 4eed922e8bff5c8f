// One entity as a sync sees it on a service: its name there, its schema, and the fields that are copied.
import { ReplicaverseError } from '../errors.js';
import { ForeignDialect } from '../orm/foreign-dialect.js';
import { NativeSession } from '../orm/native-session.js';
import { getAllSchemas } from '../orm/registry.js';
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
  const relations = Object.entries(schema?.relations ?? {});
  const many = relations.filter(([, { type }]) => type === 'many-to-many').map(([relation]) => relation);
  const passedOver = new Set(['_id', '__v', 'deletedAt']);
  for (const [relation, { type }] of relations) if (type === 'one-to-many') passedOver.add(relation);
  // A plain read gives an empty list for every many-to-many relation, and writing that would remove the links.
  if (!withLists) for (const relation of many) passedOver.add(relation);
  return {
    name,
    schema,
    softDelete: schema?.softDelete ?? false,
    passedOver,
    lists: withLists ? many : [],
    comparesUpdatedAt: isNative(source) && isNative(target),
  };
}

/** Whether a service can read the links of many-to-many relations. */
export function canReadLinks(service: SyncService, name: string): boolean {
  if (service.dialect instanceof ForeignDialect && !service.dialect.has('findWithRelations')) return false;
  return typeof repositoryOf(service, name)?.findWithRelations === 'function';
}

/** Rows of an entity, with the links of its many-to-many relations as lists of ids where they are copied. */
export async function readRows(service: SyncService, { name, lists }: SyncedEntity, { filter, options }: Reading): Promise<EntityRecord[]> {
  if (lists.length === 0) return await service.findAll(name, filter, options);
  const repository = repositoryOf(service, name);
  if (typeof repository?.findWithRelations !== 'function') {
    throw new ReplicaverseError(`${name}: the service cannot read relations: its repository has no findWithRelations`, {
      kind: 'Unsupported',
      code: 'ERR_UNSUPPORTED',
    });
  }
  const rows = await repository.findWithRelations(filter, lists, options);
  for (const row of rows) for (const list of lists) row[list] = idsOf(row[list]);
  return rows;
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
