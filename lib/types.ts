// The package's types, without any code.
export type * from './types/connection.js';
export type * from './types/dialect.js';
export type * from './types/query.js';
export type * from './types/request.js';
export type * from './types/schema.js';
export type { DatabaseErrorFields, ErrorKind } from './errors.js';
export type * from './pg-multiverse/index.js';
// Of two types of one name, the root of the package has these as well.
export type { QueryOptions } from './query-options.js';
export type { TransactionOptions } from './types/dialect.js';
