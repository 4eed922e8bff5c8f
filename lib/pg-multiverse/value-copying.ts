// Copies of the values in rows, for results that several queries are given.

/** A value that can be copied: what the parsers of this package and of node-postgres make, but for objects of other classes. */
export type CopiedValue = string | number | bigint | boolean | null | undefined | Date | Buffer | CopiedValue[] | { [name: string]: CopiedValue };

/** Bytes of what is no text, about. */
const WORD = 8;
/** Documents nested deeper than this are not gone through. */
const DEEPEST = 50;

/** A copy of a value, with copies of all that can be changed in it. */
export function copyOf(value: CopiedValue): CopiedValue {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return new Date(value.getTime());
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(copyOf);
  const copy: { [name: string]: CopiedValue } = { ...value };
  for (const name of Object.keys(copy)) {
    const part = copy[name];
    if (typeof part === 'object' && part !== null) copy[name] = copyOf(part);
  }
  return copy;
}

/** The bytes of a value, about; `undefined` if it cannot be copied. */
export function sizeOf(value: unknown, depth = 0): number | undefined {
  if (typeof value === 'string') return WORD + value.length;
  if (typeof value === 'function' || typeof value === 'symbol' || depth > DEEPEST) return undefined;
  if (typeof value !== 'object' || value === null) return WORD;
  if (Buffer.isBuffer(value)) return WORD + value.length;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return WORD;
  if (prototype !== Array.prototype && prototype !== Object.prototype) return undefined;
  let size = WORD;
  for (const part of Object.values(value)) {
    const bytes = sizeOf(part, depth + 1);
    if (bytes === undefined) return undefined;
    size += bytes;
  }
  return size;
}
