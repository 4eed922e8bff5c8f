// The schemas by which rows are read from and written to a dialect of the application's own, just as they are.
import type { EntitySchema, FieldDef, RelationDef } from '../types/schema.js';

const MANAGED_DATES = { timestamps: ['createdAt', 'updatedAt'], softDelete: ['deletedAt'] } as const;

/**
 * One schema for each collection, with the columns of all its entities as plain fields, and their many-to-many relations.
 * A dialect that is given it fills in no defaults and no dates, hides no row and sorts out no entity, so that rows arrive
 * as the other side has them.
 */
export function storedSchemas(entities: readonly EntitySchema[]): ReadonlyMap<string, EntitySchema> {
  const stored = new Map<string, EntitySchema>();
  for (const entity of entities) {
    const known = stored.get(entity.collection);
    stored.set(entity.collection, {
      name: known?.name ?? entity.name,
      collection: entity.collection,
      fields: { ...columnsOf(entity), ...known?.fields },
      relations: { ...listsOf(entity), ...known?.relations },
      indexes: [],
      timestamps: false,
    });
  }
  return stored;
}

function columnsOf(entity: EntitySchema): Record<string, FieldDef> {
  const columns: Record<string, FieldDef> = {};
  for (const [name, { type }] of Object.entries(entity.fields)) if (name !== 'id') columns[name] = { type };
  for (const [name, { type, joinColumn }] of Object.entries(entity.relations)) {
    if (type === 'many-to-one' || type === 'one-to-one') columns[joinColumn ?? name] ??= { type: 'string' };
  }
  if (entity.discriminator !== undefined) columns[entity.discriminator] ??= { type: 'string' };
  if (entity.timestamps) for (const name of MANAGED_DATES.timestamps) columns[name] ??= { type: 'date' };
  if (entity.softDelete === true) for (const name of MANAGED_DATES.softDelete) columns[name] ??= { type: 'date' };
  return columns;
}

/** Relations that are lists of ids; nothing is cascaded along them, and they are read when they are asked for. */
function listsOf(entity: EntitySchema): Record<string, RelationDef> {
  const lists: Record<string, RelationDef> = {};
  for (const [name, { cascade: _cascade, orphanRemoval: _orphanRemoval, fetch: _fetch, ...relation }] of Object.entries(entity.relations)) {
    if (relation.type === 'many-to-many') lists[name] = relation;
  }
  return lists;
}
