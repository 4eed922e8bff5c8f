// Connections by names that the application gives them. They are neither opened nor closed here.
import { configError } from '../errors.js';
import type { IDialect } from '../types/dialect.js';

const SLOT = Symbol.for('replicaverse.named-connections');

/** Copies of the package installed under several aliases find the same connections here. */
function connections(): Map<string, IDialect> {
  const holder = globalThis as { [SLOT]?: Map<string, IDialect> };
  return (holder[SLOT] ??= new Map<string, IDialect>());
}

/**
 * Keeps a connection under a name; one that had the name before is forgotten, and not closed.
 *
 * @throws {ReplicaverseError} of kind `Config` when the name is no text or the connection no dialect.
 */
export function registerNamedConnection(name: string, dialect: IDialect): void {
  if (typeof name !== 'string' || name === '') throw configError('the name of a connection must be a text that is not empty');
  if (typeof dialect !== 'object' || dialect === null) throw configError(`connection "${name}": expected a dialect`);
  connections().set(name, dialect);
}

/** The connection of a name, `null` if there is none. */
export function getNamedConnection(name: string): IDialect | null {
  return connections().get(name) ?? null;
}

/** Forgets the connection of a name, without closing it. */
export function removeNamedConnection(name: string): void {
  connections().delete(name);
}

/** The names that are taken, in the order of registration. */
export function listNamedConnections(): string[] {
  return [...connections().keys()];
}

/** Forgets every named connection, without closing any. */
export function clearNamedConnections(): void {
  connections().clear();
}
