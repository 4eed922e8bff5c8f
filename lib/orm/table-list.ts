// How the databases are asked for the names of their tables.
import { ReplicaverseError } from '../errors.js';
import type { DialectType } from '../types/connection.js';

const MYSQL = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY name";
const POSTGRES = 'SELECT tablename AS name FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY name';

/** In the language of each database. */
const STATEMENTS: Partial<Record<DialectType, string>> = {
  postgres: POSTGRES,
  cockroachdb: POSTGRES,
  mysql: MYSQL,
  mariadb: MYSQL,
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
  mongodb: '{"listCollections": 1, "nameOnly": true}',
};

/**
 * The statement for `executeQuery` that gives a row `{name}` for each table.
 *
 * @throws {ReplicaverseError} of kind `Unsupported` for a dialect that is not built in.
 */
export function tableListQuery(dialect: DialectType): string {
  const statement = STATEMENTS[dialect];
  if (statement !== undefined) return statement;
  throw new ReplicaverseError(`the tables of "${dialect}" cannot be listed`, { kind: 'Unsupported', code: 'ERR_UNSUPPORTED' });
}
