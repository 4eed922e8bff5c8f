// Writing one row of a source to a target, so that it stands there as it is at the source.
import type { EntityRecord } from '../types/query.js';
import { changesOf, copyOf, differences, isDeleted } from './row-content.js';
import { type SyncedEntity, type SyncService, withIds } from './synced-entity.js';

/** What a write did, and the fields that the target holds in another form than it was given. */
export interface Written {
  outcome: 'created' | 'updated' | 'skipped';
  converted: string[];
}

/** Inserts a row with its id and dates. */
export async function createRow(target: SyncService, entity: SyncedEntity, row: EntityRecord): Promise<Written> {
  const stored = await target.create(entity.name, copyOf(row, entity));
  if (!isRow(stored)) return { outcome: 'created', converted: [] };
  const differing = differences(row, shown(stored, entity), entity);
  // Defaults of the target fill what the source left empty, also where it was emptied on purpose.
  const filled = differing.filter((field) => isEmpty(row[field]));
  if (filled.length > 0) await target.update(entity.name, row.id, changesOf(row, filled));
  return { outcome: 'created', converted: differing.filter((field) => !isEmpty(row[field])) };
}

/** Changes the target's row where it differs; one that is softly deleted comes back. */
export async function updateRow(target: SyncService, entity: SyncedEntity, row: EntityRecord, existing: EntityRecord): Promise<Written> {
  const differing = differences(row, existing, entity);
  const revived = isDeleted(existing) && !isDeleted(row);
  if (differing.length === 0 && !revived) return { outcome: 'skipped', converted: [] };
  const changes = changesOf(row, differing);
  if (revived) changes.deletedAt = null;
  const stored = await target.update(entity.name, row.id, changes);
  if (stored === null) throw new Error('the row was deleted at the target meanwhile');
  if (!isRow(stored)) return { outcome: 'updated', converted: [] };
  return { outcome: 'updated', converted: differences(row, shown(stored, entity), entity).filter((field) => field in changes) };
}

/** The answer to a write may hold other rows in place of ids, and is the listeners' too. */
function shown(stored: EntityRecord, entity: SyncedEntity): EntityRecord {
  return withIds({ ...stored }, entity);
}

function isRow(value: unknown): value is EntityRecord {
  return typeof value === 'object' && value !== null && 'id' in value;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === undefined;
}
