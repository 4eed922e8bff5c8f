// The default connection of the process: opened once, from settings or from the environment.
import { configError, ReplicaverseError } from '../errors.js';
import type { ConnectionConfig } from '../types/connection.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { createIsolatedDialect } from './connection.js';
import { getConfigFromEnv, getEnv } from './environment.js';
import { NativeBackedDialect } from './native-dialect.js';
import { getAllSchemas, getSchema, registerSchema } from './registry.js';

const SLOT = Symbol.for('replicaverse.connection');

interface DefaultConnection {
  readonly dialect: IDialect;
  readonly dialectType: string;
  /** What it was opened by. */
  readonly config: ConnectionConfig;
  /** The schemas whose tables have been brought into being. */
  readonly known: Set<EntityDeclaration>;
  /** Settles when the schemas that were registered later have their tables. */
  catchingUp: Promise<void>;
}

/** What was opened, or is being opened. */
interface Opening {
  readonly connection: Promise<DefaultConnection>;
  readonly dialectType: string;
}

/** Copies of the package installed under several aliases find the same default connection here. */
const holder = globalThis as { [SLOT]?: Opening };

/**
 * Connects to a database and makes it the default connection of the process, which {@link getDialect} gives. If that is
 * connected to the same database already, it is given as it is, after making the tables of new schemas; a default connection to
 * another database is closed. Schemas that are given are registered as well.
 *
 * @throws {ReplicaverseError} as {@link createIsolatedDialect}; the former default connection then stays.
 */
export async function createConnection(
  config: ConnectionConfig,
  schemas?: readonly EntityDeclaration[],
): Promise<IDialect> {
  if (schemas !== undefined) registerSchema(schemas);
  if (await isDefault(config)) return await getDialect();
  const connection = await open(config, schemas?.map(({ name }) => getSchema(name)) ?? getAllSchemas());
  const former = holder[SLOT];
  holder[SLOT] = { connection: Promise.resolve(connection), dialectType: connection.dialectType };
  await close(former);
  return connection.dialect;
}

/**
 * The default connection of the process. The first call opens it, by these settings or else those of the environment
 * (see `getConfigFromEnv`); a later one gives the same connection, after making the tables of the schemas that have been
 * registered since.
 *
 * @throws {ReplicaverseError} of kind `Config` when there is neither a connection nor a setting, or as
 * {@link createIsolatedDialect}; the next call then tries again.
 */
export async function getDialect(config?: ConnectionConfig): Promise<IDialect> {
  const connection = await openedDefault(config);
  connection.catchingUp = connection.catchingUp.catch(() => undefined).then(() => catchUp(connection));
  await connection.catchingUp;
  return connection.dialect;
}

/** The name of the default connection's dialect; without one, `DB_DIALECT` of the environment, else `mongodb`. */
export function getCurrentDialectType(): string {
  return holder[SLOT]?.dialectType ?? getEnv('DB_DIALECT', 'mongodb');
}

/** Closes the default connection of the process, if there is one. */
export async function disconnectDialect(): Promise<void> {
  const opening = holder[SLOT];
  delete holder[SLOT];
  await close(opening);
}

/** The default connection; one whose dialect was disconnected is opened again. */
async function openedDefault(config: ConnectionConfig | undefined): Promise<DefaultConnection> {
  const opening = holder[SLOT] ?? openDefault(config);
  const connection = await opening.connection;
  if (isOpen(connection)) return connection;
  if (holder[SLOT] === opening) delete holder[SLOT];
  return await openedDefault(config ?? connection.config);
}

function isOpen({ dialect }: DefaultConnection): boolean {
  return !(dialect instanceof NativeBackedDialect) || NativeBackedDialect.isConnected(dialect);
}

function openDefault(config: ConnectionConfig | undefined): Opening {
  const settings = config ?? settingsOfEnvironment();
  const connection = open(settings, getAllSchemas());
  const opening: Opening = { connection, dialectType: settings.dialect };
  holder[SLOT] = opening;
  connection.catch(() => {
    // The next call is to try again, unless another connection has taken the place.
    if (holder[SLOT] === opening) delete holder[SLOT];
  });
  return opening;
}

function settingsOfEnvironment(): ConnectionConfig {
  try {
    return getConfigFromEnv();
  } catch (error) {
    if (!(error instanceof ReplicaverseError)) throw error;
    throw configError(`there is no default connection: call createConnection first, or set the environment. ${error.message}`, error);
  }
}

async function open(config: ConnectionConfig, schemas: readonly EntityDeclaration[]): Promise<DefaultConnection> {
  const dialect = await createIsolatedDialect(config, schemas);
  return { dialect, dialectType: config.dialect, config: { ...config }, known: new Set(schemas), catchingUp: Promise.resolve() };
}

/** Whether the default connection is one to these tables, and open. */
async function isDefault({ dialect, uri, tablePrefix }: ConnectionConfig): Promise<boolean> {
  const connection = await holder[SLOT]?.connection.catch(() => undefined);
  if (connection === undefined || !isOpen(connection)) return false;
  const { config } = connection;
  return config.dialect === dialect && config.uri === uri && (config.tablePrefix ?? '') === (tablePrefix ?? '');
}

async function catchUp({ dialect, known }: DefaultConnection): Promise<void> {
  // Only those that are new: under `create`, tables would be dropped again.
  const late = getAllSchemas().filter((schema) => !known.has(schema));
  if (late.length === 0) return;
  await dialect.initSchema(late);
  for (const schema of late) known.add(schema);
}

async function close(opening: Opening | undefined): Promise<void> {
  // One that could not be opened has told so to whoever opened it, and there is nothing to close.
  const connection = await opening?.connection.catch(() => undefined);
  await connection?.dialect.disconnect();
}
