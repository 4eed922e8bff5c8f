// The clusters of the sample project. The values come from the environment.
import type { ClustersConfig, MigrationConfig } from 'replicaverse/pg-multiverse';

const server = (port: string) => ({ host: process.env.PGHOST ?? '127.0.0.1', port: Number(process.env[port]), database: 'app', user: process.env.PGUSER ?? 'postgres', password: process.env.PGPASSWORD ?? '' });

export const clusters: ClustersConfig = {
  // Both have the schema: queries that name no cluster go to the first.
  eu: { schemas: ['sales'], priority: 2, primary: server('EU_PORT') },
  us: { schemas: ['sales', 'reports'], priority: 1, primary: server('US_PORT') },
};

export const migrations: MigrationConfig = {
  migrationsPath: './migrations',
  createSchemas: true,
  // No statement waits longer for a lock, and one that did is tried again.
  ddlLockTimeout: 2_000,
};

export default { clusters, migrations };
