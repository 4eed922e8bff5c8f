// What is copied, how, and what came of it.
import type { EntityService, NativeBackedDialect } from '../orm/index.js';
import type { RowFailure } from '../replicator/types.js';
import type { ConnectionConfig } from '../types/connection.js';
import type { EntityDeclaration } from '../types/schema.js';

/** How rows stand in a file. */
export type CopyFileFormat = 'csv' | 'json' | 'ndjson' | 'sql';

/** A file, or a folder with one file per entity. */
export interface CopyFile {
  format: CopyFileFormat;
  /** The file or folder. */
  path: string;
  /** CSV: what stands between cells; a comma by default. */
  delimiter?: string;
  /**
   * CSV, when read: what an empty cell of a text column is. `unquoted-null` (the default): NULL, but an empty text
   * where it is written `""`; `null`: NULL, quoted or not; `text`: an empty text.
   */
  emptyCells?: 'unquoted-null' | 'null' | 'text';
  /** SQL: whose syntax it is; found by the content when read, `postgres` when written. */
  dialect?: 'postgres' | 'cockroachdb' | 'sqlite' | 'mysql' | 'mariadb';
  /** JSON, when written: whether even the only list stands under the name of its entity; several always do. */
  namedLists?: boolean;
  /** When read: the columns of the primary key, where neither an entity nor the destination says; else `id`. */
  key?: string[];
}

/** A database to connect to for the time of the copy. */
export interface CopyConnection extends ConnectionConfig {
  /** Whether missing tables and columns are made here; as in the request by default. */
  createTables?: boolean;
}

/** A file or database as applications of `@mostajs/orm-copy-data` name one. */
export type CopyTypedEnd =
  | (CopyConnection & { type: 'db' })
  | { type: 'csv' | 'json' | 'sql' | 'sql-dump'; file: string; createTables?: boolean };

/** {@link CopyTypedEnd} as a source, as applications of `@mostajs/orm-copy-data` call it. */
export type SourceConfig = CopyTypedEnd;

/** {@link CopyTypedEnd} as a destination, as applications of `@mostajs/orm-copy-data` call it. */
export type DestConfig = CopyTypedEnd;

/** What a source may be. */
export type SourceType = 'db' | 'csv' | 'json' | 'sql';

/** What a destination may be. */
export type DestType = 'db' | 'csv' | 'json' | 'sql-dump';

/**
 * One end of a copy: a URI or path, a file, a database to connect to, or an open dialect or service of this package,
 * which stays open. In text, `csv:folder`, `json:folder`, `ndjson:folder` and `sql:folder` name folders.
 */
export type CopyEnd = string | CopyFile | CopyConnection | CopyTypedEnd | NativeBackedDialect | EntityService;

/**
 * What happens to a row that a destination has under the same key with other values: `overwrite` it, `skip` it, or
 * overwrite it where the `newer` one, by `updatedAt`, is the source's.
 */
export type ExistingRows = 'overwrite' | 'skip' | 'newer';

/** How rows are copied. */
export interface CopyOptions {
  /** Entities or tables; `'*'`, the default, is every one that the source holds. */
  entities?: '*' | readonly string[];
  /** Rows of a batch at the most. */
  batchSize?: number;
  /** Whether tables and columns that a destination lacks are made; true by default. */
  createTables?: boolean;
  /** `overwrite` by default. */
  existing?: ExistingRows;
  /** Whether the tables of a destination are emptied first. Files are always written anew. */
  truncate?: boolean;
  /** Whether everything is read and converted, but nothing is written. */
  dryRun?: boolean;
  /** Is told of progress after every batch. */
  onProgress?: (progress: CopyProgress) => void;
  /** Is given what happens as lines of text. */
  onLog?: (line: string) => void;
  /** Stops the copy when it is aborted: batches on their way are finished, and the result says `stopped`. */
  signal?: AbortSignal;
}

/** A copy. */
export interface CopyRequest extends CopyOptions {
  source: CopyEnd;
  destinations: readonly CopyEnd[];
  /** The entities whose types the rows have; every registered one by default. */
  schemas?: readonly EntityDeclaration[];
  /** The options may stand here too; those beside `source` win. */
  options?: CopyOptions;
}

/** How far the copy of an entity to a destination has come. */
export interface CopyProgress {
  /** The destination, without a password. */
  destination: string;
  /** Its place in the list. */
  destinationIndex: number;
  entity: string;
  /** Rows dealt with so far. */
  rows: number;
  /** How many rows the source is thought to hold, where it can tell. */
  estimate?: number;
  /** Whether the entity is finished. */
  done: boolean;
}

/** What was copied of one entity to one destination. */
export interface CopyStats {
  /** The destination, without a password. */
  destination: string;
  /** The entity or table. */
  entity: string;
  /** Rows read from the source. */
  read: number;
  /** Rows written: created and updated. */
  copied: number;
  created: number;
  updated: number;
  /** Rows that were deleted because `truncate` was asked for. */
  deleted: number;
  /** Rows that were equal already, or left alone because of `existing`. */
  skipped: number;
  /** Rows that could not be copied; an entity that could not be copied to its end counts one more. */
  errors: number;
  /** The first 100 of them; with an empty key, why the entity could not be copied to its end. */
  failures: RowFailure[];
  /** Documented conversions that gave something up, counted per field. */
  conversions: { field: string; reason: string; rows: number }[];
  durationMs: number;
}

/** A destination that could not be filled to the end. */
export interface CopyDestinationFailure {
  destination: string;
  code: string;
  message: string;
}

/** What came of a copy. */
export interface CopyResult {
  /** The source, without a password. */
  source: string;
  /** The destinations, without passwords. */
  destinations: string[];
  /** Per destination and entity. */
  stats: CopyStats[];
  /** The destinations that could not be connected to, or failed on the way. */
  failures: CopyDestinationFailure[];
  /** What a person should know of how files were read: types found from values, statements passed over. */
  notes: string[];
  /** Whether the copy was stopped by its signal. */
  stopped: boolean;
  totalCopied: number;
  /** Rows, entities and destinations that failed. */
  totalErrors: number;
  durationMs: number;
}
