// The dashboard surface: what shows replicas and rules in a browser.
export { ReplicaverseError } from './errors.js';
export * from './monitor/index.js';
