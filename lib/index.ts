// The package's entry: everything that its sub-paths export.
// This one comes first: what it exports as a value, others export as a type.
export * from './pg-multiverse.js';
export * from './copy.js';
export { NativeLoadError } from './native-loading/native-load-error.js';
export * from './monitor.js';
export * from './mproject.js';
export * from './orm.js';
export { PgMultiverse as default } from './pg-multiverse.js';
export * from './replicator.js';
// Two of the above have types of these names; those of transactions over clusters are in `replicaverse/pg-multiverse`.
export type { QueryOptions } from './query-options.js';
export type { TransactionOptions } from './types/dialect.js';
