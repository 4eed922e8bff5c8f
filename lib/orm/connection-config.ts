// Connection settings: what an application gives is checked and becomes what the native core takes.
import { configError, type ReplicaverseError } from '../errors.js';
import type { NativeConnectionConfig } from '../../native.js';
import type { ConnectionConfig } from '../types/connection.js';
import { requireUsable } from './supported-dialects.js';

/** Settings by their names, of types not yet checked. */
type Settings = Record<string, unknown>;

/**
 * The settings in the form of the native core.
 *
 * @throws {ReplicaverseError} of kind `Config` naming the setting, or `Unsupported` for a dialect that is not built
 * in nor registered. No message holds the URI.
 */
export function nativeConfig(config: ConnectionConfig): NativeConnectionConfig {
  const settings = objectOf('config', config) ?? {};
  const pool = objectOf('config.pool', settings.pool) ?? {};
  return {
    dialect: usableDialect(required('config.dialect', stringOf('config.dialect', settings.dialect))),
    uri: required('config.uri', stringOf('config.uri', settings.uri)),
    schemaStrategy: stringOf('config.schemaStrategy', settings.schemaStrategy),
    poolMin: countOf('config.pool.min', pool.min),
    poolMax: countOf('config.pool.max', pool.max) ?? countOf('config.poolSize', settings.poolSize),
    poolAcquireTimeout: countOf('config.pool.acquireTimeoutMillis', pool.acquireTimeoutMillis),
    tablePrefix: stringOf('config.tablePrefix', settings.tablePrefix),
  };
}

/** Whether a setting that is on or off is on. */
export function flagOf(name: keyof ConnectionConfig, config: ConnectionConfig): boolean {
  const flag = config[name] as unknown;
  if (flag === undefined || flag === null) return false;
  if (typeof flag !== 'boolean') throw wrongType(`config.${name}`, 'true or false', flag);
  return flag;
}

function usableDialect(dialect: string): string {
  requireUsable(dialect);
  return dialect;
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === '') throw configError(`${name}: a value is required`);
  return value;
}

function objectOf(name: string, value: unknown): Settings | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw wrongType(name, 'an object', value);
  return value as Settings;
}

function stringOf(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  return value;
}

function countOf(name: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const isCount = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
  if (!isCount) throw wrongType(name, 'a whole number from 0', value);
  return value;
}

/** The value itself may be a secret, so only numbers are shown. */
function wrongType(name: string, expected: string, value: unknown): ReplicaverseError {
  const found = typeof value === 'number' ? String(value) : Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
  return configError(`${name}: expected ${expected}, found ${found}`);
}
