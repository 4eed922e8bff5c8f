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

/** What must hold for one field, or the value that it must have. */
export type FilterValue = unknown;

/** {@link FilterOperators}, as applications of other versions call them. */
export type FilterOperator = FilterOperators;

/** {@link DalFilter}, as applications of other versions call it. */
export type FilterQuery = DalFilter;

/** Ascending or descending. */
export type SortDirection = 1 | -1 | 'asc' | 'desc';

/** How many rows are read, in which order, and which of their fields. */
export interface QueryOptions {
  /** The sort order, outermost field first; rows without a value come first when ascending. */
  sort?: Record<string, SortDirection>;
  /** How many rows to pass over. */
  skip?: number;
  /** How many rows to return at the most; 0 is no limit, as in MongoDB. */
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

/** What is computed of the rows of a group. A field may be written with a dollar sign before it. */
export interface GroupAccumulator {
  /** The sum of a field, or of a number for each row. */
  $sum?: string | number;
  /** How many rows there are; with the name of a field, how many have a value in it. */
  $count?: unknown;
  /** The mean of a field. */
  $avg?: string;
  /** The smallest value of a field. */
  $min?: string;
  /** The largest value of a field. */
  $max?: string;
}

/** How rows are grouped: by the field that `_by`, or as in MongoDB `_id`, names, and what is computed of each group, by the name of the result. */
export interface GroupStage {
  _by?: string | readonly string[] | null;
  _id?: string | readonly string[] | null;
  [result: string]: GroupAccumulator | string | readonly string[] | null | undefined;
}

/** {@link GroupAccumulator}, as applications of other versions call it. */
export type AggregateAccumulator = GroupAccumulator;

/** Keeps the rows that pass. */
export interface AggregateMatchStage {
  $match: DalFilter;
}

/** Makes one row of each group. */
export interface AggregateGroupStage {
  $group: GroupStage;
}

/** Orders the rows. */
export interface AggregateSortStage {
  $sort: Record<string, SortDirection>;
}

/** Keeps so many rows. */
export interface AggregateLimitStage {
  $limit: number;
}

/** One stage of an aggregation; it works on what the one before it left. */
export type AggregateStage = AggregateMatchStage | AggregateGroupStage | AggregateSortStage | AggregateLimitStage;

/** One page of rows, as an application may hand it on. */
export interface PaginatedResult<T> {
  data: T[];
  /** How many rows there are on all pages. */
  total: number;
  /** The number of the page, from 1. */
  page: number;
  /** Rows of a page at the most. */
  limit: number;
  totalPages: number;
}

/** Whether softly deleted rows count, too. */
export type DeletedOption = Pick<QueryOptions, 'includeDeleted'>;
