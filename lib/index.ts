// The package's entry: everything that its sub-paths export.
export * from './copy.js';
export { NativeLoadError } from './native-loading/native-load-error.js';
export * from './mproject.js';
export * from './orm.js';
export * from './replicator.js';
