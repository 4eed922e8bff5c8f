// The options of queries, of rows and of statements.
import type { QueryOptions as StatementOptions } from './pg-multiverse/types.js';
import type { QueryOptions as RowOptions } from './types/query.js';

/**
 * The options of a read of rows, or those of a statement: both have had this name in the packages that applications come
 * from. Each sub-path of this package exports its own.
 */
export interface QueryOptions extends RowOptions, StatementOptions {}
