// One captured change applied to the target.
import type { EntityRecord } from '../types/query.js';
import type { CDCEvent } from './cdc-events.js';
import { rowsById } from './keyset-scan.js';
import { isDeleted, keyText, moment } from './row-content.js';
import { createRow, updateRow } from './row-writer.js';
import { stays } from './sync-pass.js';
import { canReadLinks, type SyncedEntity, syncedEntity, type SyncService, withIds } from './synced-entity.js';
import type { ConflictResolution } from './types.js';

/** What became of an event. */
export type Applied = 'created' | 'updated' | 'deleted' | 'skipped';

/**
 * Brings the target's row to the state of the event, whatever the row is like now: an event that is applied twice has the
 * effect of one.
 *
 * @throws what the target, or the source when links must be read, throws.
 */
export async function applyEvent(source: SyncService, target: SyncService, event: CDCEvent, resolution: ConflictResolution): Promise<Applied> {
  const linked = canReadLinks(source, event.collection) && canReadLinks(target, event.collection);
  const entity = syncedEntity(source, target, event.collection, linked);
  const [existing] = (await rowsById({ service: target, entity: { ...entity, lists: [] } }, [event.id])).values();
  if (event.op === 'delete') return await applyDelete(target, entity, event, existing, resolution);
  const row = await rowOf(source, entity, event);
  const comparable = entity.lists.length === 0 || existing === undefined ? existing : await linkedRow(target, entity, event.id);
  if (comparable === undefined) return (await createRow(target, entity, row)).outcome;
  return stays(row, comparable, entity, resolution) ? 'skipped' : (await updateRow(target, entity, row, comparable)).outcome;
}

async function applyDelete(
  target: SyncService,
  entity: SyncedEntity,
  event: CDCEvent,
  existing: EntityRecord | undefined,
  resolution: ConflictResolution,
): Promise<Applied> {
  if (existing === undefined || isDeleted(existing)) return 'skipped';
  // What was changed at the target after the row was deleted at the source is newer.
  if (resolution === 'timestamp' && moment(existing) > event.timestamp.getTime()) return 'skipped';
  return (await target.delete(entity.name, existing.id)) ? 'deleted' : 'skipped';
}

/**
 * The row of the event. Where it has links, or other rows in place of ids, it is read again, since an event tells only of what
 * was written; one that is gone has its deletion still to come.
 */
async function rowOf(source: SyncService, entity: SyncedEntity, { data, id }: CDCEvent): Promise<EntityRecord> {
  const told = withIds({ ...data, id: data?.id ?? id }, entity);
  if (entity.lists.length === 0 && !entity.eager) return told;
  return (await linkedRow(source, entity, told.id)) ?? told;
}

async function linkedRow(service: SyncService, entity: SyncedEntity, id: string): Promise<EntityRecord | undefined> {
  return (await rowsById({ service, entity }, [id])).get(keyText(id));
}
