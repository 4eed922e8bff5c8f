// The projects' surface: several named databases in one application.
export { ReplicaverseError } from './errors.js';
export * from './mproject/index.js';
