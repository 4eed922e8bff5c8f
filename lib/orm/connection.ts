// Opening connections: isolated ones, and the default connection of the process.
import { closedError } from '../errors.js';
import type { ConnectionConfig } from '../types/connection.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { NativeBackedDialect } from './native-dialect.js';
import { getAllSchemas, registerSchema } from './registry.js';

const SLOT = Symbol.for('replicaverse.connection');

/** Copies of the package installed under several aliases find the same default connection here. */
const holder = globalThis as { [SLOT]?: IDialect };

/** The outcome of {@link testConnection}. */
export interface ConnectionTest {
  ok: boolean;
  /** Why it does not work. */
  error?: string;
}

/**
 * Connects to a database, independent of every other connection, and brings the tables of the schemas into being as
 * the schema strategy says.
 *
 * @param schemas the registered ones by default
 * @throws {ReplicaverseError} naming a wrong setting, or saying why the database cannot be used. Nothing stays open.
 */
export async function createIsolatedDialect(
  config: ConnectionConfig,
  schemas: readonly EntityDeclaration[] = getAllSchemas(),
): Promise<IDialect> {
  const dialect = new NativeBackedDialect();
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
 * Connects to a database and makes it the default connection of the process, which {@link getDialect} gives. A former
 * default connection is closed. Schemas that are given are registered as well.
 *
 * @throws {ReplicaverseError} as {@link createIsolatedDialect}; the former default connection then stays.
 */
export async function createConnection(
  config: ConnectionConfig,
  schemas?: readonly EntityDeclaration[],
): Promise<IDialect> {
  if (schemas !== undefined) registerSchema(schemas);
  const dialect = await createIsolatedDialect(config, schemas);
  const former = holder[SLOT];
  holder[SLOT] = dialect;
  await former?.disconnect();
  return dialect;
}

/**
 * The default connection of the process.
 *
 * @throws {ReplicaverseError} of kind `Closed` when there is none.
 */
export function getDialect(): IDialect {
  const dialect = holder[SLOT];
  if (dialect === undefined) throw closedError('there is no default connection; call createConnection first');
  return dialect;
}

/** Closes the default connection of the process, if there is one. */
export async function disconnectDialect(): Promise<void> {
  const dialect = holder[SLOT];
  delete holder[SLOT];
  await dialect?.disconnect();
}

/** Tries whether a database can be connected to. It touches no table, and no other connection. */
export async function testConnection(config: ConnectionConfig): Promise<ConnectionTest> {
  const dialect = new NativeBackedDialect();
  try {
    await dialect.connect({ ...config, schemaStrategy: 'none', pool: { min: 0, max: 1 } });
    await dialect.disconnect();
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
