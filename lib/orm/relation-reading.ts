// Reads that follow relations, on any dialect that has them.
import { ReplicaverseError } from '../errors.js';
import type { DalFilter, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { BaseRepository } from './repository.js';

/** The reads of a repository that follow relations. */
export interface RelationReader {
  findWithRelations<T = EntityRecord>(filter: DalFilter, relations: readonly string[], options?: QueryOptions): Promise<T[]>;
  findByIdWithRelations<T = EntityRecord>(id: EntityIdentity, relations: readonly string[], options?: QueryOptions): Promise<T | null>;
}

/**
 * These reads of a repository.
 *
 * @throws {ReplicaverseError} of kind `Unsupported` when its dialect does not have them.
 */
export function relationReader<T>(repository: BaseRepository<T>): RelationReader {
  const reader = repository as unknown as Partial<RelationReader>;
  if (typeof reader.findWithRelations === 'function' && typeof reader.findByIdWithRelations === 'function') return reader as RelationReader;
  throw new ReplicaverseError(`${repository.schema.name}: relations cannot be read on this dialect`, {
    kind: 'Unsupported',
    code: 'ERR_UNSUPPORTED',
  });
}
