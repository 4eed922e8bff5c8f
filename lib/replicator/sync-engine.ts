// Syncs between two entity services: whole, by what has changed, in both directions, and with the links between rows.
import { configError, ReplicaverseError } from '../errors.js';
import type { EntityDeclaration } from '../types/schema.js';
import { scanRows } from './keyset-scan.js';
import { type CompatReport, SchemaMapper } from './schema-mapper.js';
import { exchangeRows } from './sync-bidirectional.js';
import { byReference } from './sync-order.js';
import { copyRows, deleteOrphans, deleteRow, type Pass } from './sync-pass.js';
import { type EngineStats, EntityTally, runStats } from './sync-stats.js';
import { entityNames, type SyncedEntity, syncedEntity, type SyncService } from './synced-entity.js';
import type { ReplicationRule, SyncCursor } from './types.js';

/** What an engine is told of a rule; a rule of a `ReplicationManager` is one, of which other parts are passed over. */
export type SyncRule = Pick<ReplicationRule, 'name' | 'collections'> & Partial<ReplicationRule>;

/** How an engine reads. */
export interface SyncEngineOptions {
  /** Rows read at once; 500 by default. */
  batchSize?: number;
  /**
   * Milliseconds that an incremental sync reads again before its cursor, 5000 by default: rows whose `updatedAt` was set
   * that much before others could see them are found.
   */
  overlapMs?: number;
}

/** Up to when an incremental sync has read, as it was given; dates may be ISO text or milliseconds. */
export interface IncrementalCursor {
  ruleName?: string;
  cursors: Readonly<Record<string, Date | string | number>>;
}

/** The outcome of an incremental sync. */
export interface IncrementalOutcome {
  stats: EngineStats;
  /** Where the next one begins. */
  newCursor: SyncCursor;
}

/**
 * Syncs entities between two services, which may be those of any two dialects, or any objects with their methods. Rows are
 * read in batches by id, and written through the services, so that their events tell of them. Ids and dates are kept.
 *
 * A row that cannot be written, and an entity that cannot be read, is counted in `errors` and named in `failures`; the rest
 * goes on.
 */
export class SyncEngine {
  readonly #batchSize: number;
  readonly #overlapMs: number;

  /** @throws {ReplicaverseError} of kind `Config` when an option is no number that makes sense. */
  constructor({ batchSize = 500, overlapMs = 5000 }: SyncEngineOptions = {}) {
    if (!Number.isInteger(batchSize) || batchSize < 1) throw configError('batchSize: expected a whole number from 1');
    if (!Number.isFinite(overlapMs) || overlapMs < 0) throw configError('overlapMs: expected a number from 0');
    this.#batchSize = batchSize;
    this.#overlapMs = overlapMs;
  }

  /** Makes the target's entities a mirror of the source's: rows are created, updated where they differ, and deleted. */
  async snapshot(source: SyncService, target: SyncService, rule: SyncRule): Promise<EngineStats> {
    return await this.#mirror(rule, this.#entities(source, target, rule), source, target);
  }

  /**
   * As {@link snapshot}, with the links of many-to-many relations, which are lists of ids on MongoDB and rows of junction
   * tables on others.
   *
   * @param schemas the schemas of the entities; others of the rule are copied without links
   */
  async snapshotWithRelations(source: SyncService, target: SyncService, rule: SyncRule, schemas: readonly EntityDeclaration[]): Promise<EngineStats> {
    requireArguments(source, target, rule);
    const byName = new Map(schemas.flatMap((schema) => [[schema.name, schema] as const, [schema.collection ?? schema.name, schema] as const]));
    const names = rule.collections.map((collection) => byName.get(collection)?.name ?? collection);
    const entities = entityNames(source, names).map((name) => syncedEntity(source, target, name, true, byName.get(name)));
    return await this.#mirror(rule, entities, source, target);
  }

  /**
   * Copies what has changed since the cursor, by `updatedAt`, and what has been softly deleted since. Rows that are deleted
   * for good cannot be seen this way, and stay at the target.
   *
   * The new cursor of an entity is the latest change seen, but never after the start of its reading, so that what changes
   * meanwhile comes next time, and never after a row that could not be written.
   */
  async incremental(source: SyncService, target: SyncService, rule: SyncRule, cursor?: IncrementalCursor): Promise<IncrementalOutcome> {
    const started = Date.now();
    const cursors: Record<string, Date> = {};
    const tallies: EntityTally[] = [];
    for (const entity of byReference(this.#entities(source, target, rule))) {
      const pass = this.#pass(source, target, rule, entity);
      tallies.push(pass.tally);
      const since = cursorOf(cursor, entity.name);
      const reached = await this.#changes(pass, since);
      if (reached !== null) cursors[entity.name] = reached;
    }
    return { stats: runStats(rule.name, started, tallies, ['created', 'updated']), newCursor: { ruleName: rule.name, cursors } };
  }

  /**
   * Makes both sides equal. Where they differ the newer `updatedAt` wins, whatever the rule's `conflictResolution`; of equally
   * old rows the one with the greater content does, so that both sides decide the same. Rows that only one side has are
   * copied to the other: of deletions only soft ones travel.
   */
  async bidirectional(source: SyncService, target: SyncService, rule: SyncRule): Promise<EngineStats> {
    const started = Date.now();
    const tallies: EntityTally[] = [];
    for (const entity of byReference(this.#entities(source, target, rule))) {
      const pass = this.#pass(source, target, rule, entity);
      tallies.push(pass.tally);
      await guarded(pass, () => exchangeRows(pass));
    }
    return runStats(rule.name, started, tallies, ['created', 'updated']);
  }

  /** What copying these entities between two dialects gives up; it needs no connection. */
  validateCrossDialect(sourceDialect: string, targetDialect: string, schemas: readonly EntityDeclaration[]): CompatReport {
    return new SchemaMapper(sourceDialect, targetDialect).validate(schemas);
  }

  async #mirror(rule: SyncRule, entities: readonly SyncedEntity[], source: SyncService, target: SyncService): Promise<EngineStats> {
    const started = Date.now();
    const passes = byReference(entities).map((entity) => this.#pass(source, target, rule, entity));
    const copied: Pass[] = [];
    for (const pass of passes) if (await guarded(pass, () => copyRows(pass))) copied.push(pass);
    // Rows that others refer to are deleted after those.
    for (const pass of copied.reverse()) await guarded(pass, () => deleteOrphans(pass));
    return runStats(rule.name, started, passes.map(({ tally }) => tally), ['created', 'updated', 'deleted']);
  }

  /** Up to when the entity has been read; the cursor as it was when nothing is new, `null` without one. */
  async #changes(pass: Pass, since: Date | null): Promise<Date | null> {
    const { entity, source, target, tally, batchSize } = pass;
    const overlapped = new Date(since === null ? 0 : Math.max(0, since.getTime() - this.#overlapMs)).toISOString();
    let reached = since?.getTime() ?? -Infinity;
    let failed = Infinity;
    const started = Date.now();
    const onSeen = (changed: number): void => void (reached = Math.max(reached, Math.min(changed, started)));
    const onFailed = (changed: number): void => void (failed = Math.min(failed, changed));
    const done = await guarded(pass, async () => {
      requireUpdatedAt(entity);
      // The first time everything is copied, also what has no updatedAt.
      await copyRows({ ...pass, onSeen, onFailed }, since === null ? {} : { updatedAt: { $gte: overlapped } });
      if (!entity.softDelete || since === null) return;
      for await (const rows of scanRows({ service: source, entity, batchSize, filter: { deletedAt: { $gte: overlapped } }, includeDeleted: true })) {
        for (const row of rows) {
          const deleted = new Date(String(row.deletedAt instanceof Date ? row.deletedAt.toISOString() : row.deletedAt)).getTime();
          onSeen(deleted);
          if (!(await deleteRow(target, entity, row.id, tally))) onFailed(deleted);
        }
      }
    });
    // A row without a date is found again only by reading everything again.
    const next = Math.min(reached, failed);
    return done && next !== -Infinity ? new Date(Math.max(0, next)) : since;
  }

  #entities(source: SyncService, target: SyncService, rule: SyncRule): SyncedEntity[] {
    requireArguments(source, target, rule);
    return entityNames(source, rule.collections).map((name) => syncedEntity(source, target, name));
  }

  #pass(source: SyncService, target: SyncService, rule: SyncRule, entity: SyncedEntity): Pass {
    const resolution = rule.conflictResolution ?? 'source-wins';
    if (resolution === 'resolve') throw configError("conflictResolution: 'resolve' is for rules that ReplicationManager streams");
    return { source, target, entity, tally: new EntityTally(entity.name), batchSize: this.#batchSize, resolution };
  }
}

/** Counts what ends the sync of one entity early; whether it came to its end. */
async function guarded({ tally }: Pass, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    tally.fail('', error);
    return false;
  }
}

function cursorOf(cursor: IncrementalCursor | undefined, name: string): Date | null {
  const value = cursor?.cursors[name];
  if (value === undefined) return null;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) throw configError(`the cursor of "${name}" is no date`);
  return date;
}

/** JavaScript applications are not told by a compiler. */
function requireArguments(source: unknown, target: unknown, rule: unknown): void {
  for (const [name, service] of Object.entries({ source, target })) {
    const isService = typeof service === 'object' && service !== null && 'findAll' in service;
    if (!isService) throw configError(`${name}: expected an EntityService, or an object with its methods`);
  }
  const { collections } = (rule ?? {}) as Partial<SyncRule>;
  if (!Array.isArray(collections)) throw configError('rule.collections: expected a list of entity names');
}

function requireUpdatedAt({ name, schema }: SyncedEntity): void {
  if (schema === undefined || schema.timestamps === true || schema.fields?.updatedAt !== undefined) return;
  throw new ReplicaverseError(`${name}: an incremental sync needs updatedAt; set timestamps: true in its schema, or use a snapshot`, {
    kind: 'Unsupported',
    code: 'ERR_UNSUPPORTED',
  });
}
