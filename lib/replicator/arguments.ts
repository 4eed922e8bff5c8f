// Arguments of the manager's methods, checked before they reach the core.

import { configError } from '../errors.js';

/** A text argument. */
export function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw configError(`${name}: expected a text, found ${describe(value)}`);
  return value;
}

/** An object argument as JSON. */
export function jsonOf(name: string, value: unknown): string {
  if (typeof value !== 'object' || value === null) throw configError(`${name}: expected an object, found ${describe(value)}`);
  return JSON.stringify(value);
}

function describe(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
