// The order in which entities are synced: those that others refer to come first.
import type { SyncedEntity } from './synced-entity.js';

/** The entities with those that they refer to before them, otherwise in the order given. A cycle is cut where it closes. */
export function byReference(entities: readonly SyncedEntity[]): SyncedEntity[] {
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  const ordered = new Set<SyncedEntity>();
  const visiting = new Set<SyncedEntity>();
  const visit = (entity: SyncedEntity): void => {
    if (ordered.has(entity) || visiting.has(entity)) return;
    visiting.add(entity);
    for (const { type, target } of Object.values(entity.schema?.relations ?? {})) {
      const referred = byName.get(target);
      const refers = type === 'many-to-one' || type === 'one-to-one' || type === 'many-to-many';
      if (refers && referred !== undefined) visit(referred);
    }
    visiting.delete(entity);
    ordered.add(entity);
  };
  for (const entity of entities) visit(entity);
  return [...ordered];
}
