// Telling what an unknown value is.
import type { ClusterConfig, DatabaseConnection } from './config-types.js';
import type { AnyRow, QueryResult } from './types.js';

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Whether a value is the result of a query that returned or changed rows. */
export function isQueryResult<T = AnyRow>(value: unknown): value is QueryResult<T> {
  return isObject(value) && Array.isArray(value.rows) && typeof value.rowCount === 'number' && typeof value.command === 'string';
}

/** Whether a value says completely how a server is reached. */
export function isDatabaseConnection(value: unknown): value is DatabaseConnection & { port: number; password: string } {
  if (!isObject(value)) return false;
  return typeof value.port === 'number' && ['host', 'database', 'user', 'password'].every((name) => typeof value[name] === 'string');
}

/** Whether a value is the configuration of a cluster. */
export function isClusterConfig(value: unknown): value is ClusterConfig {
  return isObject(value) && typeof value.id === 'string' && Array.isArray(value.schemas) && isDatabaseConnection(value.primary);
}
