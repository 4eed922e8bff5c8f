// Copying in bulk between databases and files.
export { ReplicaverseError } from './errors.js';
export * from './copy/index.js';
