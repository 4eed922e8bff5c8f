// Dialects that applications bring: their factories by name, shared by every copy of the package in the process.
import { configError } from '../errors.js';
import type { IDialect } from '../types/dialect.js';

/** The names of the methods of a dialect. */
type DialectMethod = Exclude<keyof IDialect, 'dialectType'>;

/**
 * A dialect of the application's own: methods of {@link IDialect}, of which those that can be emulated may be missing. How
 * their arguments and rows are typed is left to the application.
 */
export type DialectObject = {
  find(...args: never[]): unknown;
} & { [Method in DialectMethod]?: (...args: never[]) => unknown };

/** Makes a dialect that is not connected yet. */
export type DialectFactory = () => DialectObject;

const SLOT = Symbol.for('replicaverse.dialects');

/** Copies of the package installed under several aliases find the same dialects here. */
function factories(): Map<string, DialectFactory> {
  const holder = globalThis as { [SLOT]?: Map<string, DialectFactory> };
  return (holder[SLOT] ??= new Map<string, DialectFactory>());
}

/**
 * Makes a dialect of the application's own known: any object with the methods of a dialect, as those of `@mostajs/orm`
 * are. Connections and replicas may then name it. What was registered under the name before is replaced; where the name is
 * that of a built-in dialect, the registered one is used.
 *
 * @throws {ReplicaverseError} of kind `Config` when the name is no text or the factory no function.
 */
export function registerDialect(name: string, factory: DialectFactory): void {
  if (typeof name !== 'string' || name === '') throw configError('registerDialect: the name must be a text that is not empty');
  if (typeof factory !== 'function') {
    throw configError(`registerDialect: the factory of "${name}" must be a function, found a ${typeof factory}`);
  }
  factories().set(name, factory);
}

/** Forgets a registered dialect; whether there was one. Connections that exist stay. */
export function unregisterDialect(name: string): boolean {
  return factories().delete(name);
}

/** The factory of a registered dialect, `undefined` if there is none. */
export function registeredDialect(name: string): DialectFactory | undefined {
  return factories().get(name);
}

/** The names of the registered dialects, in the order of registration. */
export function registeredDialectNames(): string[] {
  return [...factories().keys()];
}
