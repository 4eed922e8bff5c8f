// The registry of entity schemas, shared by every copy of the package in the process.
import { schemaError, unknownEntityError } from '../errors.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import { nativeSchema } from './native-schema.js';

const SLOT = Symbol.for('replicaverse.schemas');

/** Copies of the package installed under several aliases find the same registry here. */
const holder = globalThis as { [SLOT]?: ReadonlyMap<string, EntitySchema> };

/**
 * The registered schemas by name. The map is never changed, only replaced, so that another map means other schemas.
 */
export function registeredSchemas(): ReadonlyMap<string, EntitySchema> {
  return (holder[SLOT] ??= new Map<string, EntitySchema>());
}

/**
 * Registers a schema, or several given as a list. A schema whose name is already registered is replaced.
 *
 * @throws {ReplicaverseError} of kind `Schema` when something is no schema.
 */
export function registerSchema(schema: EntityDeclaration | readonly EntityDeclaration[]): void {
  const added = (isList(schema) ? schema : [schema]).map(completeSchema).map((complete) => [complete.name, complete] as const);
  holder[SLOT] = new Map([...registeredSchemas(), ...added]);
}

/** Registers several schemas, as {@link registerSchema}. */
export function registerSchemas(schemas: readonly EntityDeclaration[]): void {
  registerSchema(schemas);
}

/**
 * The schema of an entity.
 *
 * @throws {ReplicaverseError} with code `ENTITY_NOT_FOUND`, naming the registered entities.
 */
export function getSchema(name: string): EntitySchema {
  const schema = registeredSchemas().get(name);
  if (schema === undefined) throw unknownEntityError(name, registeredSchemas().keys());
  return schema;
}

/** The schema whose rows are in this collection, `undefined` if there is none. */
export function getSchemaByCollection(collection: string): EntitySchema | undefined {
  return getAllSchemas().find((schema) => schema.collection === collection);
}

/** Every registered schema, in the order of registration. */
export function getAllSchemas(): EntitySchema[] {
  return [...registeredSchemas().values()];
}

/** The names of the registered entities, in the order of registration. */
export function getEntityNames(): string[] {
  return [...registeredSchemas().keys()];
}

/** Whether an entity is registered. */
export function hasSchema(name: string): boolean {
  return registeredSchemas().has(name);
}

/** Forgets every schema. */
export function clearRegistry(): void {
  holder[SLOT] = new Map();
}

/** The outcome of {@link validateSchemas}. */
export interface SchemaValidation {
  valid: boolean;
  /** What is wrong, in words. */
  errors: string[];
}

/**
 * Checks the registered schemas, or those given: their fields and indexes, and that their relations lead to registered
 * schemas.
 */
export function validateSchemas(schemas: readonly EntityDeclaration[] = getAllSchemas()): SchemaValidation {
  const known = new Set([...getEntityNames(), ...schemas.map(({ name }) => name)]);
  const errors = schemas.flatMap((schema) => [
    ...malformedParts(schema),
    ...Object.entries(schema.relations ?? {})
      .filter(([, { target }]) => !known.has(target))
      .map(([relation, { target }]) => `${schema.name}.${relation} references unknown entity "${target}"`),
  ]);
  return { valid: errors.length === 0, errors };
}

/** What the core finds wrong with a schema. */
function malformedParts(schema: EntityDeclaration): string[] {
  try {
    nativeSchema(schema);
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** The schema itself when nothing is missing, else a copy with the missing parts. */
export function completeSchema(schema: EntityDeclaration): EntitySchema {
  if (!isObject(schema)) throw schemaError(`schema: expected an object, found a value of type ${typeof schema}`);
  const { name, collection, fields, relations, indexes, timestamps } = schema;
  if (typeof name !== 'string' || name === '') throw schemaError('schema: "name" must be a text that is not empty');
  if (collection !== undefined && fields && relations && indexes && timestamps !== undefined) return schema as EntitySchema;
  return {
    ...schema,
    collection: collection ?? name.toLowerCase(),
    fields: fields ?? {},
    relations: relations ?? {},
    indexes: indexes ?? [],
    timestamps: timestamps ?? false,
  };
}

function isList(schema: EntityDeclaration | readonly EntityDeclaration[]): schema is readonly EntityDeclaration[] {
  return Array.isArray(schema);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}
