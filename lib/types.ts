// The package's types, without any code.
export type * from './types/connection.js';
export type * from './types/dialect.js';
export type * from './types/query.js';
export type * from './types/request.js';
export type * from './types/schema.js';
export type { DatabaseErrorFields, ErrorKind } from './errors.js';
