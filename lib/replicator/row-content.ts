// What two rows of one entity have in common: their content in one notation, their differences, and which is newer.
import type { EntityRecord } from '../types/query.js';
import type { SyncedEntity } from './synced-entity.js';

type Row = Readonly<Record<string, unknown>>;

/**
 * The fields in which two rows differ. A missing field is null, key order has no meaning, and neither has the order of a
 * list of links. `createdAt` cannot be changed and is passed over.
 */
export function differences(one: Row, other: Row, entity: SyncedEntity): string[] {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].filter(
    (key) => isCompared(key, entity) && contentText(one, key, entity) !== contentText(other, key, entity),
  );
}

/** Whether a softly deleted row stands here. */
export function isDeleted(row: Row): boolean {
  return row.deletedAt !== null && row.deletedAt !== undefined;
}

/**
 * Which of two rows that differ is to stay: the later of `updatedAt` and `deletedAt` (else `createdAt`) decides. Where both
 * are equal, the greater content does, so that the outcome is the same whichever side is called the source.
 */
export function newerSide(source: EntityRecord, target: EntityRecord, entity: SyncedEntity): 'source' | 'target' {
  const [ofSource, ofTarget] = [moment(source), moment(target)];
  if (ofSource !== ofTarget) return ofSource > ofTarget ? 'source' : 'target';
  return wholeText(source, entity) > wholeText(target, entity) ? 'source' : 'target';
}

/** When a row was last changed, in milliseconds; before all others when it does not say. */
export function moment(row: Row): number {
  const changed = Math.max(millis(row.updatedAt), millis(row.deletedAt));
  return changed === -Infinity ? millis(row.createdAt) : changed;
}

/** What must be written to make the target's row equal to the source's, of these fields. */
export function changesOf(source: Row, fields: readonly string[]): Record<string, unknown> {
  const changes: Record<string, unknown> = Object.fromEntries(fields.map((field) => [field, source[field] ?? null]));
  // Without it the time of the write would make the copy look newer than its original.
  if (source.updatedAt !== null && source.updatedAt !== undefined) changes.updatedAt = source.updatedAt;
  return changes;
}

/** The row without what is no content of its own. */
export function copyOf(source: Row, entity: SyncedEntity): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([key]) => !entity.passedOver.has(key)));
}

/** An id as text, by which rows of both sides are matched. */
export function keyText(id: unknown): string {
  return typeof id === 'string' ? id : idText(id);
}

function idText(id: unknown): string {
  const hasHex = typeof id === 'object' && id !== null && 'toHexString' in id && typeof id.toHexString === 'function';
  return hasHex ? String((id as { toHexString(): string }).toHexString()) : canonicalText(id);
}

/** A value in a notation that is equal for equal values: keys in order, dates as ISO text, numbers by their worth. */
export function canonicalText(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number' || typeof value === 'bigint') return String(Object.is(value, -0) ? 0 : value);
  if (typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'null' : JSON.stringify(value);
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}`;
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  if ('toHexString' in value && typeof value.toHexString === 'function') return JSON.stringify(idText(value));
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalText(item)}`).join(',')}}`;
}

function isCompared(key: string, entity: SyncedEntity): boolean {
  if (key === 'id' || entity.passedOver.has(key)) return false;
  const { schema } = entity;
  const managed = schema === undefined || schema.timestamps === true || schema.fields?.[key] === undefined;
  if (key === 'createdAt') return !managed;
  if (key === 'updatedAt') return entity.comparesUpdatedAt || !managed;
  return true;
}

function contentText(row: Row, key: string, { lists }: SyncedEntity): string {
  const value = row[key];
  if (!lists.includes(key) || !Array.isArray(value)) return canonicalText(value);
  return value.map(keyText).sort().join(',');
}

/** The whole content of a row, and whether it is deleted. */
function wholeText(row: Row, entity: SyncedEntity): string {
  const keys = Object.keys(row).filter((key) => isCompared(key, entity) && row[key] !== null && row[key] !== undefined);
  const parts = keys.sort().map((key) => `${JSON.stringify(key)}:${contentText(row, key, entity)}`);
  return `${isDeleted(row) ? 'deleted' : 'present'} ${parts.join(',')}`;
}

function millis(value: unknown): number {
  if (value === null || value === undefined || value === '') return -Infinity;
  const time = value instanceof Date ? value.getTime() : typeof value === 'string' || typeof value === 'number' ? new Date(value).getTime() : Number.NaN;
  return Number.isNaN(time) ? -Infinity : time;
}
