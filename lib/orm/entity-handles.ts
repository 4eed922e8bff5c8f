// Handles to entities together with those that they are related to, as the native core's relations need them.
import type { NativeSchema } from '../../native.js';
import type { EntityDeclaration } from '../types/schema.js';
import { nativeSchema } from './native-schema.js';
import { registeredSchemas } from './registry.js';

interface Cached {
  handle: NativeSchema;
  /** What was known when the handle was made. */
  registered: unknown;
  declared: unknown;
}

/**
 * The entities that a connection knows: those whose tables it brought into being, and those that are registered. Of two
 * with one name the former counts.
 */
export class EntityHandles {
  /** Never changed, only replaced, so that handles made before can tell. */
  #declared: ReadonlyMap<string, EntityDeclaration> = new Map();
  readonly #cache = new WeakMap<EntityDeclaration, Cached>();

  /** Makes entities known. */
  add(schemas: readonly EntityDeclaration[]): void {
    this.#declared = new Map([...this.#declared, ...schemas.map((schema) => [schema.name, schema] as const)]);
  }

  /**
   * The handle of an entity with those that it is related to, at any distance.
   *
   * @throws {ReplicaverseError} of kind `Schema`, naming the entity and the field.
   */
  of(schema: EntityDeclaration): NativeSchema {
    const registered = registeredSchemas();
    const cached = this.#cache.get(schema);
    if (cached?.registered === registered && cached.declared === this.#declared) return cached.handle;
    const alone = nativeSchema(schema);
    const known = new Map<string, EntityDeclaration>([...registered, ...this.#declared, [schema.name, schema]]);
    const related = relatedTo(schema, known).map(nativeSchema);
    const handle = related.length === 0 ? alone : alone.withRelated(related);
    this.#cache.set(schema, { handle, registered, declared: this.#declared });
    return handle;
  }
}

/** The entities that relations lead to from one entity, and from which they lead to it, without that one itself. */
function relatedTo(schema: EntityDeclaration, known: ReadonlyMap<string, EntityDeclaration>): EntityDeclaration[] {
  const found = new Set([schema]);
  // A set gives what is added to it while it is gone through.
  for (const next of found) {
    const targets = targetsOf(next);
    for (const other of known.values()) {
      const leadsHere = targetsOf(other).some((target) => target === next.name);
      if (targets.includes(other.name) || leadsHere || collectionOf(other) === collectionOf(next)) found.add(other);
    }
  }
  found.delete(schema);
  return [...found];
}

function targetsOf(schema: EntityDeclaration): string[] {
  return Object.values(schema.relations ?? {}).map((relation) => relation?.target);
}

function collectionOf(schema: EntityDeclaration): string {
  return schema.collection ?? schema.name.toLowerCase();
}
