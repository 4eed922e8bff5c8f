// One pass of a sync over one entity: every row of one side is brought to the other, in batches.
import type { DalFilter, EntityIdentity, EntityRecord } from '../types/query.js';
import { rowsById, scanRows } from './keyset-scan.js';
import { isDeleted, keyText, moment, newerSide } from './row-content.js';
import { createRow, updateRow, type Written } from './row-writer.js';
import type { EntityTally } from './sync-stats.js';
import type { SyncedEntity, SyncService } from './synced-entity.js';
import type { ConflictResolution } from './types.js';

/** What a pass works on. */
export interface Pass {
  readonly source: SyncService;
  readonly target: SyncService;
  readonly entity: SyncedEntity;
  readonly tally: EntityTally;
  readonly batchSize: number;
  readonly resolution: ConflictResolution;
  /** Is told when each row of the source that is seen was last changed. */
  readonly onSeen?: (changed: number) => void;
  /** Is told when each row that does not arrive was last changed. */
  readonly onFailed?: (changed: number) => void;
}

/** A row that the target refused. */
interface Refusal {
  readonly id: EntityIdentity;
  readonly changed: number;
  readonly error: unknown;
}

/** Refusals are kept until the end of the pass, but no more than these. */
const KEPT_REFUSALS = 10_000;

/**
 * Writes the source's rows to the target. Rows that are refused are tried again after the others, because they may refer
 * to rows that come later, and only then count as failed.
 */
export async function copyRows(pass: Pass, filter: DalFilter = {}): Promise<void> {
  let refusals: Refusal[] = [];
  for await (const rows of scanRows({ service: pass.source, entity: pass.entity, batchSize: pass.batchSize, filter })) {
    for (const row of rows) pass.onSeen?.(moment(row));
    refusals.push(...(await copyBatch(pass, rows)));
    if (refusals.length < KEPT_REFUSALS) continue;
    await retry(pass, refusals);
    refusals = [];
  }
  await retry(pass, refusals);
}

async function copyBatch(pass: Pass, rows: readonly EntityRecord[]): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  const existing = await rowsById({ service: pass.target, entity: pass.entity }, rows.map(({ id }) => id));
  for (const row of rows) {
    try {
      count(pass.tally, await copyRow(pass, row, existing.get(keyText(row.id))));
    } catch (error) {
      refusals.push({ id: row.id, changed: moment(row), error });
    }
  }
  return refusals;
}

/** Tries again as long as some arrive: rows that refer to each other arrive one after the other. */
async function retry(pass: Pass, refusals: readonly Refusal[]): Promise<void> {
  let left = refusals;
  for (;;) {
    const again: Refusal[] = [];
    for (let from = 0; from < left.length; from += pass.batchSize) {
      const ids = left.slice(from, from + pass.batchSize).map(({ id }) => id);
      const rows = await rowsById({ service: pass.source, entity: pass.entity }, ids);
      again.push(...(await copyBatch(pass, [...rows.values()].filter((row) => !isDeleted(row)))));
    }
    const arrived = left.length - again.length;
    left = again;
    if (arrived === 0) break;
  }
  for (const { id, changed, error } of left) {
    pass.tally.fail(keyText(id), error);
    pass.onFailed?.(changed);
  }
}

async function copyRow({ target, entity, resolution }: Pass, row: EntityRecord, existing: EntityRecord | undefined): Promise<Written> {
  if (existing === undefined) return await createRow(target, entity, row);
  return stays(row, existing, entity, resolution)
    ? { outcome: 'skipped', converted: [] }
    : await updateRow(target, entity, row, existing);
}

/** Whether the target's row stays where it differs. One that is softly deleted gives way, but to an older row. */
export function stays(row: EntityRecord, existing: EntityRecord, entity: SyncedEntity, resolution: ConflictResolution): boolean {
  if (resolution === 'target-wins') return !isDeleted(existing);
  return resolution === 'timestamp' && newerSide(row, existing, entity) === 'target';
}

/** Counts what a write did. */
export function count(tally: EntityTally, { outcome, converted }: Written): void {
  tally.count(outcome);
  tally.convert(converted);
}

/** Deletes the target's rows that the source does not have, or has deleted. */
export async function deleteOrphans({ source, target, entity, tally, batchSize }: Pass): Promise<void> {
  const plain: SyncedEntity = { ...entity, lists: [] };
  const select = entity.softDelete ? ['id', 'deletedAt'] : ['id'];
  for await (const rows of scanRows({ service: target, entity: plain, batchSize, select })) {
    const kept = await rowsById({ service: source, entity: plain, select }, rows.map(({ id }) => id));
    for (const { id } of rows) {
      const row = kept.get(keyText(id));
      if (row === undefined || isDeleted(row)) await deleteRow(target, entity, id, tally);
    }
  }
}

/** Deletes a row of the target; one that is not there any more is no failure. Whether nothing is left to do. */
export async function deleteRow(target: SyncService, entity: SyncedEntity, id: EntityIdentity, tally: EntityTally): Promise<boolean> {
  try {
    if (await target.delete(entity.name, id)) tally.count('deleted');
    return true;
  } catch (error) {
    tally.fail(keyText(id), error);
    return false;
  }
}
