// Opening connections that are independent of every other.
import type { ConnectionConfig } from '../types/connection.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { registeredDialect } from './dialect-registry.js';
import { getConfigFromEnv } from './environment.js';
import { ForeignDialect } from './foreign-dialect.js';
import { NativeBackedDialect } from './native-dialect.js';
import { getAllSchemas } from './registry.js';

/** The outcome of {@link testConnection}. */
export interface ConnectionTest {
  ok: boolean;
  /** Why it does not work. */
  error?: string;
}

/**
 * Connects to a database, independent of every other connection, and brings the tables of the schemas into being as
 * the schema strategy says. The dialect is one that was registered by `registerDialect`, or else a built-in one.
 *
 * @param schemas the registered ones by default
 * @throws {ReplicaverseError} naming a wrong setting, or saying why the database cannot be used. Nothing stays open.
 */
export async function createIsolatedDialect(
  config: ConnectionConfig,
  schemas: readonly EntityDeclaration[] = getAllSchemas(),
): Promise<IDialect> {
  const dialect = newDialect(config);
  await dialect.connect(config);
  try {
    await dialect.initSchema(schemas);
  } catch (error) {
    // Why the schemas do not fit matters more than what closing the connection may add.
    await dialect.disconnect().catch(() => undefined);
    throw error;
  }
  return dialect;
}

/**
 * Tries whether a database can be connected to; without settings, that of the environment. It touches no table, and no
 * other connection, and never rejects.
 */
export async function testConnection(config?: ConnectionConfig): Promise<ConnectionTest> {
  try {
    const settings = config ?? getConfigFromEnv();
    const dialect = newDialect(settings);
    await dialect.connect({ ...settings, schemaStrategy: 'none', pool: { min: 0, max: 1 } });
    const answers = await dialect.testConnection();
    await dialect.disconnect();
    return answers ? { ok: true } : { ok: false, error: 'the database does not answer' };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** The dialect that the settings name, not connected yet. Wrong settings are refused when it connects. */
function newDialect(config: ConnectionConfig | undefined): IDialect {
  const name = config?.dialect;
  const factory = typeof name === 'string' ? registeredDialect(name) : undefined;
  return name === undefined || factory === undefined ? new NativeBackedDialect() : new ForeignDialect(name, factory());
}
