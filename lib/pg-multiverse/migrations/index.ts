// Migrations of the schemas of all clusters.
export { MigrationError, type MigrationFailure } from './migration-error.js';
export type { NewMigration } from './migration-folder.js';
export { MigrationManager, type MigrationSource } from './migration-manager.js';
export type * from './lint/types.js';
export { lintRules } from './lint/linting.js';
export type * from './types.js';
