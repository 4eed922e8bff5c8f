// The types of queries and their results.
import type { TypeParsers } from './value-parsers.js';

/** A value of `$1`, `$2`, …. Other values are written as node-postgres writes them: objects as JSON, lists as arrays. */
export type QueryParam = string | number | bigint | boolean | Date | Buffer | null | undefined | object;

/** A row of which nothing is known, as with node-postgres. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- applications that come from node-postgres read its fields unchecked
export type AnyRow = any;

/** A column of a result. */
export interface QueryField {
  name: string;
  /** The object id of the table it comes from, or 0. */
  tableID: number;
  /** The number of the column in that table, or 0. */
  columnID: number;
  dataTypeID: number;
  dataTypeSize: number;
  dataTypeModifier: number;
  /** The format in which parsers get values. */
  format: 'text';
}

/** What a statement gave. */
export interface QueryResult<T = AnyRow> {
  rows: T[];
  /** How many rows were returned or changed; `null` for statements that do neither. */
  rowCount: number | null;
  /** The first word of what was done, as `SELECT`; `null` for an empty statement. */
  command: string | null;
  oid: number | null;
  fields: QueryField[];
  /** The cluster that answered. */
  clusterId: string;
}

/** What a text of several statements gave: the result of each. */
export type QueryResults<T = AnyRow> = QueryResult<T>[] & { clusterId: string };

/** A statement with its values, as node-postgres takes it. */
export interface QueryConfig {
  text: string;
  values?: readonly unknown[];
  /** Statements are prepared in any case, so that a name changes nothing. */
  name?: string;
  /** `array` makes a row the list of its values. */
  rowMode?: 'array';
}

/** What a statement is declared to be. One that writes goes to the primary whatever is declared. */
export type OperationType = 'read' | 'write';
/** Which servers answer reads. */
export type ReadPreference = 'replica' | 'primary' | 'any';
/** How fresh a read must be. */
export type ConsistencyLevel = 'eventual' | 'session' | 'strong';

/** Which cluster and server are chosen. What is left out is taken from the schema, then from the cluster. */
export interface RouteOptions {
  /** The schema whose cluster is used, and in which names are looked up first. */
  schema?: string;
  clusterId?: string;
  operation?: OperationType;
  readPreference?: ReadPreference;
  consistencyLevel?: ConsistencyLevel;
  /** On a sharded cluster: the value of the shard key by which the statement, as it is, runs on one shard. */
  shardKey?: string | number | bigint | boolean | Date | Buffer;
}

/** What a query says about caching. It is only cached if it reads and calls no volatile function, and outside transactions. */
export interface CacheQueryOptions {
  /** Whether the result may come from the cache and is kept there; as its schema says by default. */
  cache?: boolean;
  /** Milliseconds for which the result is valid, 0 for as long as there is room; as the cache says by default. */
  cacheTtl?: number;
  /** The name of the result within its cluster and schema, in place of the full text of the statement and its values. */
  cacheKey?: string;
  /** By these the result can be invalidated. */
  tags?: readonly string[];
}

/** The options of one query. */
export interface QueryOptions extends RouteOptions, CacheQueryOptions {
  /** Milliseconds from the call on; then the statement is cancelled on the server. */
  timeout?: number;
  /** Cancels the statement on the server; its connection is used on. */
  signal?: AbortSignal;
  /**
   * How often a statement is tried again that has certainly not been carried out, or only reads. A write of which nobody
   * knows whether it was carried out is never repeated.
   */
  retryAttempts?: number;
  /** Milliseconds before it is tried again. */
  retryDelay?: number;
}

/** The options of a stream of rows. */
export interface QueryStreamOptions extends Omit<QueryOptions, keyof CacheQueryOptions> {
  /** How many rows may wait for their reader, 1000 by default. */
  batchSize?: number;
  /** `array` makes a row the list of its values. */
  rowMode?: 'array';
}

/** The options of a PgMultiverse that concern values. */
export interface ValueOptions {
  /** Where parsers of types are looked up, as in node-postgres; those of node-postgres by default. */
  types?: TypeParsers;
}
