// PgMultiverse: many PostgreSQL clusters behind one query.
export { ReplicaverseError } from './errors.js';
export * from './pg-multiverse/index.js';
export { PgMultiverse as MultiClusterPostgres, PgMultiverse as default } from './pg-multiverse/index.js';
