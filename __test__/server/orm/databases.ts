// The databases that the ORM suites run on: each is started once per test file and gives connections of their own tables.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIsolatedDialect } from 'replicaverse';
import type { BuiltInDialect, ConnectionConfig, EntityDeclaration, IDialect } from 'replicaverse';

/** A running database. */
export interface Database {
  readonly dialect: BuiltInDialect;
  readonly uri: string;
  /** Connects to tables that no other connection has. */
  connect(schemas: readonly EntityDeclaration[], config?: Partial<ConnectionConfig>): Promise<IDialect>;
  /** Closes what was connected and ends the database. */
  stop(): Promise<void>;
}

/** The dialects that the suites run on. */
export const DIALECTS = ['sqlite', 'postgres', 'mariadb', 'mongodb'] as const;

type TestedDialect = (typeof DIALECTS)[number];

interface Server {
  uri: string;
  remove(): Promise<void>;
}

const STARTERS: Readonly<Record<TestedDialect, () => Promise<Server>>> = {
  sqlite: startSqlite,
  postgres: async () => (await import('../../support/index.mjs')).startPostgres(),
  mariadb: async () => (await import('../../support/index.mjs')).startMariadb(),
  mongodb: async () => (await import('../../support/index.mjs')).startMongo(),
};

/** Starts the database of a dialect. */
export async function startDatabase(dialect: TestedDialect): Promise<Database> {
  const server = await STARTERS[dialect]();
  const connected: IDialect[] = [];
  return {
    dialect,
    uri: server.uri,
    async connect(schemas, config = {}) {
      const tablePrefix = `t${process.pid}_${connected.length}_`;
      const connection = await createIsolatedDialect({ dialect, uri: server.uri, tablePrefix, ...config }, schemas);
      connected.push(connection);
      return connection;
    },
    async stop() {
      await Promise.all(connected.map((connection) => connection.disconnect()));
      await server.remove();
    },
  };
}

async function startSqlite(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-'));
  return { uri: join(folder, 'app.db'), remove: () => rm(folder, { recursive: true, force: true }) };
}
