// The dialects that connections may name: those built in, and those that need one of the application's own.
import { configError, ReplicaverseError } from '../errors.js';
import type { DialectType } from '../types/connection.js';
import { maskPassword } from './database-uri.js';
import { registeredDialect, registeredDialectNames } from './dialect-registry.js';

/** What there is to know about a dialect before it is used. */
export interface DialectConfig {
  /** The product's name. */
  label: string;
  /** What must be done before it can be connected to; empty for a built-in dialect. */
  installHint: string;
}

const REGISTER = 'registerDialect(name, factory)';

/** Every dialect by its name. */
export const DIALECT_CONFIGS: Readonly<Record<DialectType, DialectConfig>> = {
  mongodb: { label: 'MongoDB', installHint: '' },
  sqlite: { label: 'SQLite', installHint: '' },
  postgres: { label: 'PostgreSQL', installHint: '' },
  mysql: { label: 'MySQL', installHint: '' },
  mariadb: { label: 'MariaDB', installHint: '' },
  oracle: { label: 'Oracle Database', installHint: REGISTER },
  mssql: { label: 'SQL Server', installHint: REGISTER },
  cockroachdb: { label: 'CockroachDB', installHint: '' },
  db2: { label: 'IBM DB2', installHint: REGISTER },
  hana: { label: 'SAP HANA', installHint: REGISTER },
  hsqldb: { label: 'HyperSQL', installHint: REGISTER },
  spanner: { label: 'Google Cloud Spanner', installHint: REGISTER },
  sybase: { label: 'Sybase ASE', installHint: REGISTER },
};

/** The names of all dialects, registered ones at the end. */
export function getSupportedDialects(): string[] {
  return [...new Set([...Object.keys(DIALECT_CONFIGS), ...registeredDialectNames()])];
}

/**
 * What there is to know about a dialect.
 *
 * @throws {ReplicaverseError} of kind `UnknownDialect`, naming the known ones.
 */
export function getDialectConfig(dialect: string): DialectConfig {
  if (registeredDialect(dialect) !== undefined) return { label: dialect, installHint: '' };
  if (isKnown(dialect)) return DIALECT_CONFIGS[dialect];
  // Somebody may have put a URI in the place of the name.
  throw new ReplicaverseError(`Unknown dialect "${maskPassword(String(dialect))}". Supported: ${getSupportedDialects().join(', ')}`, {
    kind: 'UnknownDialect',
    code: 'ERR_UNKNOWN_DIALECT',
  });
}

/**
 * Refuses a dialect that is known by name, but neither built in nor registered.
 *
 * @throws {ReplicaverseError} of kind `Unsupported`, saying how it can be used all the same.
 */
export function requireUsable(dialect: string): void {
  if (typeof dialect !== 'string') throw configError('config.dialect: expected a string');
  if (!isKnown(dialect) || DIALECT_CONFIGS[dialect].installHint === '') return;
  throw new ReplicaverseError(
    `there is no built-in dialect for "${dialect}" (${DIALECT_CONFIGS[dialect].label}); ` +
      `register one of your own first: registerDialect('${dialect}', () => an object with the methods of IDialect)`,
    { kind: 'Unsupported', code: 'ERR_UNSUPPORTED' },
  );
}

function isKnown(dialect: string): dialect is DialectType {
  return Object.hasOwn(DIALECT_CONFIGS, dialect);
}
