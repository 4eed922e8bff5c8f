// A run of pgm: its clusters, its migrations and its output, from the first connection to the last.
import { MigrationManager } from '../../pg-multiverse/migrations/migration-manager.js';
import type { MigrationLogger } from '../../pg-multiverse/migrations/types.js';
import { PgMultiverse } from '../../pg-multiverse/pg-multiverse.js';
import type { PgmConfig } from './config.js';
import type { Output } from './output.js';

/** The clusters and their migrations. */
export interface PgmSession {
  readonly db: PgMultiverse;
  readonly manager: MigrationManager;
}

/** What an action needs. */
export interface PgmParts {
  readonly config: PgmConfig;
  readonly output: Output;
}

/** Runs an action on the clusters, and disconnects from them whatever happens. */
export async function withClusters<T>({ config, output }: PgmParts, action: (session: PgmSession) => Promise<T>): Promise<T> {
  const db = new PgMultiverse({ cluster: { applicationName: 'pgm' } });
  // The files come first: nothing is connected to if one of them cannot be loaded.
  const manager = new MigrationManager(db, { ...config.migrations, logger: config.migrations.logger ?? loggerOf(output) });
  await manager.initialize();
  await db.initialize(config.clusters);
  try {
    return await action({ db, manager });
  } finally {
    await db.close();
  }
}

/** The migrations alone, for what needs no cluster. */
export async function withFiles<T>({ config, output }: PgmParts, action: (manager: MigrationManager) => Promise<T>): Promise<T> {
  const manager = new MigrationManager(new PgMultiverse(), { ...config.migrations, logger: loggerOf(output) });
  await manager.initialize();
  return action(manager);
}

/** What migrations say, as lines of the command. */
export function loggerOf(output: Output): MigrationLogger {
  return {
    info: (message) => output.detail(`    ${message}`),
    debug: (message) => output.detail(`    ${message}`),
    warn: (message) => output.warn(message),
    error: (message) => output.fail(message),
  };
}
