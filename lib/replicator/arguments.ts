// Arguments of the manager's methods, checked before they reach the core.

import { configError } from '../errors.js';

/** A text argument. */
export function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw configError(`${name}: expected a text, found ${describe(value)}`);
  return value;
}

/** A number argument. */
export function numberOf(name: string, value: unknown): number {
  if (typeof value !== 'number') throw configError(`${name}: expected a number, found ${describe(value)}`);
  return value;
}

/** An object argument as JSON. */
export function jsonOf(name: string, value: unknown): string {
  if (typeof value !== 'object' || value === null) throw configError(`${name}: expected an object, found ${describe(value)}`);
  return JSON.stringify(value, (key, inner: unknown) => {
    // JSON has null in its place, which reads as a setting that was left out.
    if (Number.isNaN(inner)) throw configError(`${name}.${key}: expected a number, found NaN`);
    return inner;
  });
}

function describe(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
