// What dialects of the application's own are given in place of methods that they lack.
import { isDeepStrictEqual } from 'node:util';
import { filterError } from '../errors.js';
import type { DalFilter, EntityIdentity } from '../types/query.js';

/** Rows read at once. */
export const PAGE = 500;

/** The row with a text `id`, also where the object calls it `_id` as MongoDB does. */
export function shownRow(row: object): object {
  if ('id' in row || !('_id' in row)) return row;
  const { _id, __v: _version, ...fields } = row as Record<string, unknown>;
  return { id: typeof _id === 'string' || typeof _id === 'number' ? _id : String(_id), ...fields };
}

/** The fields that must have one value each: those of an identity, or the plain ones of a filter. */
export function equalities(identity: EntityIdentity | DalFilter): DalFilter {
  if (typeof identity !== 'object' || identity === null) return { id: identity };
  if ('toHexString' in identity && typeof identity.toHexString === 'function') {
    return { id: (identity as { toHexString(): string }).toHexString() };
  }
  const fields = Object.entries(identity as Record<string, unknown>).flatMap(([field, value]): [string, unknown][] => {
    if (field.startsWith('$') || value === undefined || value instanceof RegExp) return [];
    if (typeof value !== 'object' || value === null || value instanceof Date || Array.isArray(value)) return [[field, value]];
    const operators = Object.keys(value);
    if (!operators.some((key) => key.startsWith('$'))) return [[field, value]];
    return '$eq' in value ? [[field, value.$eq]] : [];
  });
  return Object.fromEntries(fields);
}

/** The filter of rows that hold a text in one of the fields, in either case of its letters. */
export function containingFilter(text: string, fields: readonly string[]): DalFilter {
  if (fields.length === 0) throw filterError('search: the entity has no field of type string or text');
  const pattern = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return { $or: fields.map((field) => ({ [field]: { $regex: pattern, $regexFlags: 'i' } })) };
}

/** The different values of a field in ascending order, of an array its items; null is not among them. */
export function distinctValues(rows: readonly Record<string, unknown>[], field: string): unknown[] {
  const different = new Map<string, unknown>();
  for (const row of rows) {
    const values: unknown[] = Array.isArray(row[field]) ? row[field] : [row[field]];
    for (const value of values) {
      if (value !== null && value !== undefined) different.set(keyOf(value), value);
    }
  }
  return [...different.values()].sort((a, b) => (lessThan(a, b) ? -1 : lessThan(b, a) ? 1 : 0));
}

/** Whether two items of a list are the same. */
export function sameContent(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other);
}

function keyOf(value: unknown): string {
  return typeof value === 'bigint' ? `bigint ${value}` : `${typeof value} ${JSON.stringify(value)}`;
}

function lessThan(a: unknown, b: unknown): boolean {
  return (a as string) < (b as string);
}
