// A sync in both directions: afterwards both sides are equal, and the newer version of each row has stayed.
import type { EntityRecord } from '../types/query.js';
import { rowsById, scanRows } from './keyset-scan.js';
import { differences, isDeleted, keyText, newerSide } from './row-content.js';
import { createRow, updateRow } from './row-writer.js';
import { count, deleteRow, type Pass } from './sync-pass.js';

/**
 * Brings each row of either side to the other. Where both have it and differ, the newer one stays, also when it is a soft
 * deletion; otherwise nothing is deleted, because a row that one side lacks may as well be new on the other.
 */
export async function exchangeRows(pass: Pass): Promise<void> {
  const { source, target, entity, batchSize } = pass;
  for await (const rows of scanRows({ service: source, entity, batchSize, includeDeleted: true })) {
    const others = await rowsById({ service: target, entity }, rows.map(({ id }) => id));
    for (const row of rows) await attempt(pass, row, () => exchange(pass, row, others.get(keyText(row.id))));
  }
  for await (const rows of scanRows({ service: target, entity, batchSize })) {
    const known = await rowsById({ service: source, entity, select: ['id'] }, rows.map(({ id }) => id));
    for (const row of rows) {
      if (!known.has(keyText(row.id))) await attempt(pass, row, async () => count(pass.tally, await createRow(source, entity, row)));
    }
  }
}

async function attempt({ tally }: Pass, row: EntityRecord, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    tally.fail(keyText(row.id), error);
  }
}

async function exchange(pass: Pass, row: EntityRecord, other: EntityRecord | undefined): Promise<void> {
  const { source, target, entity, tally } = pass;
  if (other === undefined) {
    if (!isDeleted(row)) count(tally, await createRow(target, entity, row));
    return;
  }
  const fields = differences(row, other, entity);
  if (isDeleted(row) !== isDeleted(other)) fields.push('deletedAt');
  // What is deleted on both sides is the same on both, whatever its fields held.
  if (fields.length === 0 || (isDeleted(row) && isDeleted(other))) return tally.count('skipped');
  const winner = newerSide(row, other, entity);
  tally.conflict({ key: keyText(row.id), winner, fields });
  const [newer, older, side] = winner === 'source' ? [row, other, target] : [other, row, source];
  if (isDeleted(newer)) await deleteRow(side, entity, row.id, tally);
  else count(tally, await updateRow(side, entity, newer, older));
}
