// Values on their way to the native core: JSON text in which what JSON lacks is tagged (see src/value/mod.rs).
import { types } from 'node:util';
import { filterError, valueError } from '../errors.js';
import type { ReplicaverseError } from '../errors.js';

/** Databases refuse documents that are nested deeper, MongoDB beyond exactly this. */
const MAX_DEPTH = 100;
/** Half of a surrogate pair has no form in UTF-8, and would be replaced in silence. */
const UNPAIRED_SURROGATE = 'text with an unpaired surrogate';

/** Where in the caller's argument a value stands, for error messages and to find cycles. */
interface Place {
  readonly parent: Place | null;
  /** The object or list that holds the value; `null` above the argument itself. */
  readonly holder: object | null;
  readonly key: string | number;
  readonly depth: number;
  /** Whether a regular expression makes sense here. */
  readonly inFilter: boolean;
  /** Whether large numbers are written with all their digits, as ids and parameters of any type need them. */
  readonly keepsDigits: boolean;
}

/**
 * The text of an argument, which `name` calls in error messages.
 *
 * @throws {ReplicaverseError} of kind `Value`, naming the place of a value that no database holds.
 */
export function encodeValue(value: unknown, name: string): string {
  if (isPlainScalar(value, false)) return JSON.stringify(value ?? null);
  return JSON.stringify(plain(value, argument(name, false)) ?? null);
}

/**
 * The text of a record.
 *
 * @throws {ReplicaverseError} of kind `Value`.
 */
export function encodeRecord(record: unknown, name: string): string {
  if (!isPlainArgument(record)) throw valueError(`${name}: expected an object, found ${describe(record)}`);
  return encodeValue(record, name);
}

/**
 * The text of a filter, `undefined` for a filter that every row passes. A regular expression becomes `$regex`.
 *
 * @throws {ReplicaverseError} of kind `Filter`.
 */
export function encodeFilter(filter: unknown): string | undefined {
  if (filter === undefined || filter === null) return undefined;
  if (!isPlainArgument(filter)) throw filterError(`filter: expected an object, found ${describe(filter)}`);
  return JSON.stringify(plain(filter, argument('filter', true)));
}

/**
 * The text of the filter of a write. A value that is `undefined` by mistake must not widen it to rows that nobody meant.
 *
 * @throws {ReplicaverseError} of kind `Filter`, naming what is undefined.
 */
export function encodeWriteFilter(filter: unknown): string | undefined {
  checkWriteFilter(filter);
  return encodeFilter(filter);
}

/** @throws {ReplicaverseError} as {@link encodeWriteFilter}. */
export function checkWriteFilter(filter: unknown): void {
  if (isPlainArgument(filter)) checkDefined(filter as object, argument('filter', true));
}

/**
 * The text of the stages of an aggregation. A regular expression in them becomes `$regex`.
 *
 * @throws {ReplicaverseError} of kind `Filter`.
 */
export function encodeStages(stages: unknown): string {
  if (!Array.isArray(stages)) throw filterError(`stages: expected a list, found ${describe(stages)}`);
  return JSON.stringify(plain(stages, argument('stages', true)));
}

/**
 * The text of the options of a read, `undefined` for the defaults.
 *
 * @throws {ReplicaverseError} of kind `Filter`.
 */
export function encodeOptions(options: unknown): string | undefined {
  if (options === undefined || options === null) return undefined;
  if (!isPlainArgument(options)) throw filterError(`options: expected an object, found ${describe(options)}`);
  return encodeValue(options, 'options');
}

/**
 * The text of a statement's parameters, `undefined` for none.
 *
 * @throws {ReplicaverseError} of kind `Value`.
 */
export function encodeParams(params: readonly unknown[] | undefined): string | undefined {
  if (params === undefined || params === null) return undefined;
  if (!Array.isArray(params)) throw valueError(`params: expected a list, found ${describe(params)}`);
  return params.length === 0 ? undefined : encodeValue(params, 'params');
}

function checkDefined(conditions: object, place: Place): void {
  checkNesting(conditions, place);
  for (const [key, value] of Object.entries(conditions)) {
    const at = below(place, conditions, key);
    if (value === undefined) {
      throw filterError(`${pathOf(at)} is undefined, so that the write would reach rows that it does not name: leave it out, or give null`);
    }
    if (typeof value === 'object' && value !== null && (Array.isArray(value) || isOrdinary(value as object))) checkDefined(value as object, at);
  }
}

function argument(name: string, inFilter: boolean): Place {
  return { parent: null, holder: null, key: name, depth: 0, inFilter, keepsDigits: name === 'params' || isIdKey(name) };
}

/** Ids are texts, whose digits count. */
function isIdKey(key: string | number): boolean {
  return key === 'id' || key === '_id';
}

/** The values that rows mostly hold, told without any further work. */
function isPlainScalar(value: unknown, keepsDigits: boolean): boolean {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) && (keepsDigits || !readsAsInteger(value));
  return value === null || typeof value === 'boolean' || value === undefined;
}

/**
 * Whether a number beyond 2^53 would be written with digits that it does not have, and be taken for an exact integer, which
 * no field of doubles holds.
 */
function readsAsInteger(number: number): boolean {
  return Math.abs(number) > Number.MAX_SAFE_INTEGER && Math.abs(number) < 1e21;
}

/** The value itself where JSON holds all of it, else what stands for it; `undefined` where there is nothing. */
function plain(value: unknown, place: Place): unknown {
  if (isPlainScalar(value, place.keepsDigits)) return value;
  if (typeof value === 'object') return plainObject(value as object, place);
  if (typeof value === 'number') return { $$number: Object.is(value, -0) ? '-0' : String(value) };
  if (typeof value === 'bigint') return { $$bigint: value.toString() };
  if (typeof value === 'string') throw refusal(place, UNPAIRED_SURROGATE);
  throw refusal(place, `a ${typeof value}`);
}

function plainObject(value: object, place: Place): unknown {
  checkNesting(value, place);
  if (Array.isArray(value)) return plainList(value, place);
  if (isOrdinary(value)) return plainEntries(value, place);
  if (types.isDate(value)) {
    const time = value.getTime();
    if (Number.isNaN(time)) throw refusal(place, 'an invalid date');
    return { $$date: time };
  }
  if (types.isUint8Array(value)) return { $$bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  if (types.isAnyArrayBuffer(value)) return { $$bytes: Buffer.from(value).toString('base64') };
  if (types.isTypedArray(value)) return plainList([...(value as Iterable<number | bigint>)], place);
  if (types.isRegExp(value)) throw refusal(place, 'a regular expression');
  const unfit = unfitObject(value);
  if (unfit !== undefined) throw refusal(place, unfit);
  const { toHexString, toJSON } = value as { toHexString?: unknown; toJSON?: unknown };
  if (typeof toHexString === 'function') return plain((toHexString as () => unknown).call(value), place);
  if (typeof toJSON === 'function') {
    const standIn: unknown = (toJSON as (key: string) => unknown).call(value, String(place.key));
    return standIn === value ? plainEntries(value, place) : plain(standIn, below(place, value, 'toJSON()'));
  }
  return plainEntries(value, place);
}

/** An object as literals make them, told without asking for all that it could be else. */
function isOrdinary(value: object): boolean {
  const { toHexString, toJSON } = value as { toHexString?: unknown; toJSON?: unknown };
  return Object.getPrototypeOf(value) === Object.prototype && toHexString === undefined && toJSON === undefined;
}

/** Objects whose content JSON would drop in silence. */
function unfitObject(value: object): string | undefined {
  if (types.isPromise(value)) return 'a promise (is an await missing?)';
  if (types.isMap(value)) return 'a Map';
  if (types.isSet(value)) return 'a Set';
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a weak collection';
  if (types.isDataView(value)) return 'a DataView';
  return undefined;
}

function plainList(list: readonly unknown[], place: Place): unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < list.length; index++) {
    const item = list[index];
    if (isPlainScalar(item, place.keepsDigits)) continue;
    const stands = plain(item, below(place, list, index));
    if (stands !== item) (copy ??= [...list])[index] = stands;
  }
  return copy ?? (list as unknown[]);
}

function plainEntries(object: object, place: Place): object {
  const source = object as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  let looksLikeTag = false;
  for (const key of Object.keys(source)) {
    const value = source[key];
    if (key.startsWith('$$')) looksLikeTag = true;
    if (isPlainScalar(value, place.keepsDigits || isIdKey(key)) && isWellFormed(key)) continue;
    const at = below(place, source, key);
    if (!isWellFormed(key)) throw refusal(at, UNPAIRED_SURROGATE);
    const replaced = place.inFilter && types.isRegExp(value) ? conditionOf(value, at) : plain(value, at);
    if (replaced !== value) assign((copy ??= copyOf(source)), key, replaced);
    if (key === '$regex' && types.isRegExp(value)) withFlagsOf(value, (copy ??= copyOf(source)));
  }
  const entries = copy ?? source;
  return looksLikeTag ? { $$object: entries } : entries;
}

/** What a regular expression in a filter means: as the value of a field a condition, after `$regex` its source. */
function conditionOf(expression: RegExp, place: Place): unknown {
  if (place.key === '$regex') return expression.source;
  if (typeof place.key === 'string' && !place.key.startsWith('$')) {
    return { $regex: expression.source, $regexFlags: expression.flags };
  }
  throw refusal(place, 'a regular expression');
}

function withFlagsOf(expression: RegExp, condition: Record<string, unknown>): void {
  if (condition.$regexFlags === undefined && condition.$options === undefined) condition.$regexFlags = expression.flags;
}

/** Spreading keeps an own `__proto__`, and the engine has a way of its own for it. */
function copyOf(source: Record<string, unknown>): Record<string, unknown> {
  return { ...source };
}

/** Plain assignment to `__proto__` would change the prototype and lose the entry. */
function assign(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function below(place: Place, holder: object, key: string | number): Place {
  return { parent: place, holder, key, depth: place.depth + 1, inFilter: place.inFilter, keepsDigits: place.keepsDigits || isIdKey(key) };
}

function checkNesting(value: object, place: Place): void {
  for (let at: Place | null = place; at !== null; at = at.parent) {
    if (at.holder === value) throw refusal(place, 'a reference to an object that holds it');
  }
  if (place.depth > MAX_DEPTH) throw refusal(place, `a value nested deeper than ${MAX_DEPTH} levels`);
}

/** `String.prototype.isWellFormed` is in every supported Node.js, but not yet in the library that TypeScript is set to. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

function refusal(place: Place, what: string): ReplicaverseError {
  const message = `${pathOf(place)}: ${what} cannot stand here`;
  return place.inFilter ? filterError(message) : valueError(message);
}

/** As in `data.address.lines[2]`. */
function pathOf({ parent, key }: Place): string {
  if (parent === null) return String(key);
  return typeof key === 'number' ? `${pathOf(parent)}[${key}]` : `${pathOf(parent)}.${key}`;
}

function isPlainArgument(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
