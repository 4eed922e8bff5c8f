// Parameters as the text that the server reads, exactly as node-postgres writes it.
import { types } from 'node:util';

/** What goes to the server: text, bytes in the binary format, or `null`. */
export type ParameterContent = string | Uint8Array | null;

/** An object that says itself what it is as a parameter. */
interface HasToPostgres {
  toPostgres(prepareValue: (value: unknown) => ParameterContent): unknown;
}

/** The content of a parameter. */
export function parameterContent(value: unknown): ParameterContent {
  return contentOf(value, undefined);
}

function contentOf(value: unknown, seen: unknown[] | undefined): ParameterContent {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  // A function or a symbol has a text as well, and node-postgres sends it.
  if (typeof value !== 'object') return (value as number | boolean | bigint | symbol).toString();
  if (ArrayBuffer.isView(value)) return bytesOf(value);
  if (types.isDate(value)) return localTimeText(value);
  if (Array.isArray(value)) return arrayText(value);
  return objectContent(value, seen);
}

function objectContent(value: object, seen: unknown[] = []): ParameterContent {
  if (!hasToPostgres(value)) return (JSON.stringify(value)) ?? null;
  if (seen.includes(value)) throw new Error(`circular reference detected while preparing "${describe(value)}" for query`);
  seen.push(value);
  return contentOf(value.toPostgres(parameterContent), seen);
}

/** An object without a prototype has no text. */
function describe(value: object): string {
  return Object.prototype.toString.call(value);
}

function hasToPostgres(value: object): value is HasToPostgres {
  return typeof (value as Partial<HasToPostgres>).toPostgres === 'function';
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The literal of a PostgreSQL array. */
function arrayText(items: readonly unknown[]): string {
  return `{${Array.from(items, elementText).join(',')}}`;
}

function elementText(item: unknown): string {
  if (Array.isArray(item)) return arrayText(item);
  const content = contentOf(item, undefined);
  if (content === null) return 'NULL';
  if (typeof content !== 'string') return `\\\\x${Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('hex')}`;
  return `"${content.replace(/["\\]/g, '\\$&')}"`;
}

/** A date in the process's time zone, with its distance from UTC. A date that is none gives a text that the server refuses. */
function localTimeText(date: Date): string {
  const year = date.getFullYear();
  // There is no year 0: the year before 1 is 1 BC.
  const isBeforeChrist = year < 1;
  const minutesAhead = -date.getTimezoneOffset();
  const distance = Math.abs(minutesAhead);
  return (
    `${padded(isBeforeChrist ? 1 - year : year, 4)}-${padded(date.getMonth() + 1, 2)}-${padded(date.getDate(), 2)}T` +
    `${padded(date.getHours(), 2)}:${padded(date.getMinutes(), 2)}:${padded(date.getSeconds(), 2)}.${padded(date.getMilliseconds(), 3)}` +
    `${minutesAhead < 0 ? '-' : '+'}${padded(Math.floor(distance / 60), 2)}:${padded(distance % 60, 2)}` +
    (isBeforeChrist ? ' BC' : '')
  );
}

function padded(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}
