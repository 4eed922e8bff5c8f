// A run of pgm: its clusters, its migrations and its output, from the first connection to the last.
import { configError } from '../../errors.js';
import type { ClustersConfig } from '../../pg-multiverse/config-types.js';
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
  if (Object.keys(config.clusters).length === 0) throw configError('No cluster configuration provided: name a file by --config, or make one by pgm init');
  const db = new PgMultiverse({ cluster: { applicationName: 'pgm' } });
  // The files come first: nothing is connected to if one of them cannot be loaded.
  const manager = new MigrationManager(db, { ...config.migrations, logger: config.migrations.logger ?? loggerOf(output) });
  await manager.initialize();
  await db.initialize(ranked(config.clusters));
  try {
    return await action({ db, manager });
  } finally {
    await db.close();
  }
}

/** Each cluster with a priority of its own: several may have one schema, and no statement here asks which of them comes first. */
function ranked(clusters: ClustersConfig): ClustersConfig {
  const found = Object.entries(clusters);
  return Object.fromEntries(found.map(([id, cluster], at) => [id, { ...cluster, priority: found.length - at }]));
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
