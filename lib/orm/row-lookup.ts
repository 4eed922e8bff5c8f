// What findById is given, told apart: an id, an object with one, or the fields of a unique index.
import { ReplicaverseError } from '../errors.js';
import type { EntityDeclaration, IndexDef } from '../types/schema.js';

/** A unique index whose fields an object has all of. */
export interface UniqueIndexMatch {
  indexDef: IndexDef;
  /** The fields of the index with their values. */
  filter: Record<string, unknown>;
}

/** How a row is looked up. */
export type ResolvedLookup =
  | { kind: 'pk'; id: string }
  | { kind: 'natural'; filter: Record<string, unknown>; indexDef: IndexDef }
  /** There is nothing to look up. */
  | { kind: 'empty' };

/** The error for something by which no row can be looked up. */
export class OrmIntrospectionError extends ReplicaverseError {
  /** The entity. */
  readonly schemaName: string;
  /** What was given. */
  readonly input: unknown;
  /** The fields of the object that was given. */
  readonly availableFields: string[];

  constructor(message: string, schemaName: string, input: unknown, availableFields: string[]) {
    super(message, { kind: 'Filter', code: 'ERR_FILTER' });
    this.schemaName = schemaName;
    this.input = input;
    this.availableFields = availableFields;
  }
}

Object.defineProperty(OrmIntrospectionError.prototype, 'name', { value: 'OrmIntrospectionError', configurable: true, writable: true });

/** The first unique index, or else unique field, of an entity that an object has a value for; `null` if there is none. */
export function findMatchingUniqueIndex(schema: EntityDeclaration, object: Record<string, unknown>): UniqueIndexMatch | null {
  for (const indexDef of uniqueIndexes(schema)) {
    const names = fieldsOf(indexDef);
    if (names.length > 0 && names.every((name) => isGiven(object[name]))) {
      for (const name of names) refuseOperators(schema, name, object[name]);
      return { indexDef, filter: Object.fromEntries(names.map((name) => [name, object[name]])) };
    }
  }
  return null;
}

/**
 * How the row is looked up that an id, an object with one, or the fields of a unique index stand for.
 *
 * @throws {OrmIntrospectionError} for anything else.
 */
export function resolveLookup(schema: EntityDeclaration, identity: unknown): ResolvedLookup {
  if (!isGiven(identity)) return { kind: 'empty' };
  if (typeof identity === 'string') return { kind: 'pk', id: identity };
  if (typeof identity === 'number' || typeof identity === 'bigint') return { kind: 'pk', id: String(identity) };
  if (typeof identity !== 'object' || identity === null) {
    const message = `Cannot resolve findById on '${schema.name}': unsupported input type '${typeof identity}'.`;
    throw new OrmIntrospectionError(message, schema.name, identity, []);
  }
  const object = identity as Record<string, unknown>;
  const { toHexString } = object;
  if (typeof toHexString === 'function') return { kind: 'pk', id: String((toHexString as () => unknown).call(object)) };
  if (isGiven(object.id)) return { kind: 'pk', id: extractRelId(object) };
  const match = findMatchingUniqueIndex(schema, object);
  if (match !== null) return { kind: 'natural', ...match };
  const fields = Object.keys(object);
  const indexes = uniqueIndexes(schema).map((index) => fieldsOf(index).join('+'));
  throw new OrmIntrospectionError(
    `Cannot resolve findById on '${schema.name}': object lacks 'id' and no unique index matches. ` +
      `Object fields: [${fields.join(', ')}]. Available unique indexes: [${indexes.join(', ') || 'none'}].`,
    schema.name,
    identity,
    fields,
  );
}

/** The id that a reference holds, whether the row was read along or not; an empty text where there is none. */
export function extractRelId(reference: unknown): string {
  if (typeof reference === 'string') return reference;
  if (typeof reference === 'number' || typeof reference === 'bigint') return String(reference);
  if (typeof reference !== 'object' || reference === null) return '';
  const { id, toHexString } = reference as { id?: unknown; toHexString?: unknown };
  if (typeof toHexString === 'function') return String((toHexString as () => unknown).call(reference));
  return id === undefined ? '' : extractRelId(id);
}

function uniqueIndexes(schema: EntityDeclaration): IndexDef[] {
  const fields = Object.entries(schema.fields ?? {}).filter(([, field]) => field.unique === true);
  const declared = (schema.indexes ?? []).filter((index) => index.unique === true);
  const named = new Set(declared.map((index) => fieldsOf(index).join('+')));
  return [...declared, ...fields.filter(([name]) => !named.has(name)).map(([name]) => ({ fields: { [name]: 'asc' as const }, unique: true }))];
}

function fieldsOf({ fields }: IndexDef): string[] {
  return Array.isArray(fields) ? fields : Object.keys(fields ?? {});
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

/** A value that came from outside must not become a condition that other rows pass as well. */
function refuseOperators(schema: EntityDeclaration, name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || !Object.keys(value).some((key) => key.startsWith('$'))) return;
  throw new OrmIntrospectionError(`Cannot resolve findById on '${schema.name}': '${name}' is to be a value, not operators.`, schema.name, value, [name]);
}
