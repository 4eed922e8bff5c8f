// Filters, options and rows.

/** A row. Every row has an `id`; tables written by other software may hold ids that are no text. */
export interface EntityRecord {
  id: string;
  [field: string]: unknown;
}

/** What must hold for one field. */
export interface FilterOperators {
  $eq?: unknown;
  $ne?: unknown;
  $gt?: unknown;
  $gte?: unknown;
  $lt?: unknown;
  $lte?: unknown;
  $in?: readonly unknown[];
  $nin?: readonly unknown[];
  $regex?: string | RegExp;
  $regexFlags?: string;
  $exists?: boolean;
}

/**
 * Which rows an operation concerns: fields with a value, a regular expression or {@link FilterOperators}, and `$or`
 * and `$and` around lists of filters. A key whose value is `undefined` is passed over.
 */
export interface DalFilter {
  $or?: readonly DalFilter[];
  $and?: readonly DalFilter[];
  [field: string]: unknown;
}

/** How many rows are read, in which order, and which of their fields. */
export interface QueryOptions {
  /** The sort order, outermost field first; rows without a value come first when ascending. */
  sort?: Record<string, 1 | -1 | 'asc' | 'desc'>;
  /** How many rows to pass over. */
  skip?: number;
  /** How many rows to return at the most. */
  limit?: number;
  /** The fields to return; `id` always is. */
  select?: readonly string[];
  /** The fields to leave out. */
  exclude?: readonly string[];
  /** Whether softly deleted rows are returned as well. */
  includeDeleted?: boolean;
}

/** An id, `{id}`, or the fields of a unique index. A number, a bigint or an object with `toHexString` is an id too. */
export type EntityIdentity = string | number | bigint | { toHexString(): string } | { readonly [field: string]: unknown };
