// Handles to the schemas that the native core has parsed, one per schema object.
import { fromNativeSync, schemaError } from '../errors.js';
import { native } from '../native.js';
import type { NativeSchema } from '../../native.js';
import type { EntityDeclaration } from '../types/schema.js';

const handles = new WeakMap<EntityDeclaration, NativeSchema>();

/**
 * The handle of a schema. The schema is read once: a change to the object afterwards is not seen.
 *
 * @throws {ReplicaverseError} of kind `Schema`, naming the entity and the field.
 */
export function nativeSchema(schema: EntityDeclaration): NativeSchema {
  if (typeof schema !== 'object' || schema === null) {
    throw schemaError(`expected an entity schema, found ${typeof schema === 'string' ? JSON.stringify(schema) : String(schema)}`);
  }
  let handle = handles.get(schema);
  if (handle === undefined) {
    handle = parse(schema);
    handles.set(schema, handle);
  }
  return handle;
}

function parse(schema: EntityDeclaration): NativeSchema {
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') {
      throw schemaError(`schema ${schema.name}: "${key}" holds a ${typeof value}, which a schema cannot`);
    }
    return value;
  });
  return fromNativeSync(() => new native.NativeSchema(text));
}
