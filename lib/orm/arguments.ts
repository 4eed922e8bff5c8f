// Arguments of dialect methods, checked and in the form that the native core takes.
import { configError, filterError } from '../errors.js';
import type { EntityIdentity } from '../types/query.js';
import { encodeValue } from './value-encoding.js';

/**
 * The id that a write names; the fields of an index are for reads only.
 *
 * @throws {ReplicaverseError} of kind `Filter`.
 */
export function encodeId(identity: EntityIdentity): string {
  const isObject = typeof identity === 'object' && identity !== null;
  if (!isObject || 'toHexString' in identity) return encodeValue(identity, 'id');
  if ('id' in identity) return encodeValue(identity.id, 'id.id');
  throw filterError(`id: expected an id or {id}, found {${Object.keys(identity).join(', ')}}`);
}

/** @throws {ReplicaverseError} of kind `Config`, naming the argument. */
export function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw configError(`${name}: expected a string, found a value of type ${typeof value}`);
  return value;
}

/** @throws {ReplicaverseError} of kind `Config`, naming the argument. */
export function textsOf(name: string, values: unknown): string[] {
  if (!Array.isArray(values)) throw configError(`${name}: expected a list of strings, found a value of type ${typeof values}`);
  return values.map((value, index) => textOf(`${name}[${index}]`, value));
}
