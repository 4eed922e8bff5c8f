// The events of an entity service, and how they reach listeners without harm to the write.
import { EventEmitter } from 'node:events';
import { tellListeners } from '../event-telling.js';
import type { DalFilter, EntityIdentity, EntityRecord } from '../types/query.js';

/** The events of an `EntityService` and what their listeners are given. */
export interface EntityServiceEvents {
  'entity.created': [event: { entity: string; data: EntityRecord }];
  'entity.updated': [event: { entity: string; id: EntityIdentity; data: EntityRecord }];
  'entity.deleted': [event: { entity: string; id: EntityIdentity }];
  'entity.upserted': [event: { entity: string; data: EntityRecord }];
  /** After `updateMany`. Where `entity.updated` has listeners, they have been told of each row. */
  'entity.updatedMany': [event: { entity: string; filter: DalFilter; data: object; count: number }];
  /** After `deleteMany`. Where `entity.deleted` has listeners, they have been told of each row. */
  'entity.deletedMany': [event: { entity: string; filter: DalFilter; count: number }];
  /** A listener of another event threw this. */
  error: [error: unknown];
}

type WriteEvent = Exclude<keyof EntityServiceEvents, 'error'>;

/** Tells of writes. */
export class WriteEmitter extends EventEmitter<EntityServiceEvents> {
  /**
   * Calls each listener for itself, so that none can keep the others from hearing of a write, nor undo it.
   *
   * @internal
   */
  protected tell<E extends WriteEvent>(event: E, ...args: EntityServiceEvents[E]): void {
    tellListeners(this, event, args);
  }
}
