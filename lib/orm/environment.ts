// Configuration from the environment: variables by profile, and the connection settings among them.
import { configError } from '../errors.js';
import type { ConnectionConfig, SchemaStrategy } from '../types/connection.js';
import { getSupportedDialects } from './supported-dialects.js';

/** The active profile: `MOSTA_ENV`, trimmed; `undefined` when there is none. */
export function getCurrentProfile(): string | undefined {
  return process.env.MOSTA_ENV?.trim() || undefined;
}

/**
 * A variable of the environment: `<profile>_<key>` when a profile is active and has it, else `<key>`, else the fallback. An
 * empty value counts as not set.
 */
export function getEnv(key: string): string | undefined;
export function getEnv(key: string, fallback: string): string;
export function getEnv(key: string, fallback?: string): string | undefined {
  const profile = getCurrentProfile();
  const ofProfile = profile === undefined ? undefined : process.env[`${profile}_${key}`];
  return ofProfile || process.env[key] || fallback;
}

/** A variable that is on only when it reads `true`, in any case of its letters. */
export function getEnvBool(key: string, fallback = false): boolean {
  const value = getEnv(key);
  return value === undefined ? fallback : value.trim().toLowerCase() === 'true';
}

/** A variable that is a number; the fallback when it is not set or no finite number. */
export function getEnvNumber(key: string): number | undefined;
export function getEnvNumber(key: string, fallback: number): number;
export function getEnvNumber(key: string, fallback?: number): number | undefined {
  const value = getEnv(key);
  const number = value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : fallback;
}

/**
 * The connection settings of the environment: `DB_DIALECT` and `SGBD_URI`, which must be set, `DB_SCHEMA_STRATEGY` (`none` by
 * default), `DB_POOL_SIZE`, `DB_TABLE_PREFIX`, `DB_SHOW_SQL`, `DB_FORMAT_SQL` and `DB_HIGHLIGHT_SQL`, each with the prefix of the profile first.
 *
 * @throws {ReplicaverseError} of kind `Config` naming the variable that is missing.
 */
export function getConfigFromEnv(): ConnectionConfig {
  const dialect = getEnv('DB_DIALECT');
  if (dialect === undefined) {
    throw configError(`DB_DIALECT is not defined in environment${profileHint('DB_DIALECT')}\nSupported: ${getSupportedDialects().join(', ')}`);
  }
  const uri = getEnv('SGBD_URI');
  if (uri === undefined) {
    throw configError(
      `SGBD_URI is not defined in environment${profileHint('SGBD_URI')}\nDB_DIALECT=${dialect} requires a connection string in SGBD_URI`,
    );
  }
  const config: ConnectionConfig = {
    dialect,
    uri,
    // An unknown strategy is refused by name when the connection is opened.
    schemaStrategy: getEnv('DB_SCHEMA_STRATEGY', 'none') as SchemaStrategy,
    showSql: getEnvBool('DB_SHOW_SQL'),
    formatSql: getEnvBool('DB_FORMAT_SQL'),
  };
  if (getEnvBool('DB_HIGHLIGHT_SQL')) config.highlightSql = true;
  const poolSize = getEnvNumber('DB_POOL_SIZE');
  if (poolSize !== undefined) config.poolSize = poolSize;
  const tablePrefix = getEnv('DB_TABLE_PREFIX');
  if (tablePrefix !== undefined) config.tablePrefix = tablePrefix;
  return config;
}

function profileHint(key: string): string {
  const profile = getCurrentProfile();
  return profile === undefined ? '' : `\nActive profile: MOSTA_ENV=${profile} — expected ${profile}_${key} or ${key}`;
}
