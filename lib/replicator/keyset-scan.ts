// Reading an entity in batches by its ids, so that no table is ever whole in memory.
import { ReplicaverseError } from '../errors.js';
import { registeredDialect } from '../orm/dialect-registry.js';
import type { DalFilter, EntityRecord, QueryOptions } from '../types/query.js';
import { keyText } from './row-content.js';
import { readRows, type SyncedEntity, type SyncService } from './synced-entity.js';

/** What a scan reads. */
export interface Scan {
  service: SyncService;
  entity: SyncedEntity;
  batchSize: number;
  filter?: DalFilter;
  /** Whether softly deleted rows are read as well. */
  includeDeleted?: boolean;
  /** Fields, where not all are needed. */
  select?: readonly string[];
}

const OBJECT_ID = /^[0-9a-f]{24}$/;
const INTEGER = /^-?\d+$/;
/** As text it is also looked up as the number, below which MongoDB has none. */
const LEAST_INTEGER = String(-(2n ** 63n));

/**
 * The rows of an entity, batch by batch. A row that is written or deleted meanwhile is read or not; every other is read
 * once.
 */
export async function* scanRows(scan: Scan): AsyncGenerator<EntityRecord[]> {
  if (isMongo(scan.service)) yield* scanMongo(scan);
  else yield* pages(scan, undefined, 1);
}

/** The rows with these ids, by id. */
export async function rowsById(
  { service, entity, select }: Pick<Scan, 'service' | 'entity' | 'select'>,
  ids: readonly unknown[],
): Promise<Map<string, EntityRecord>> {
  const options: QueryOptions = { includeDeleted: entity.softDelete };
  if (select !== undefined) options.select = select;
  const rows = await readRows(service, entity, { filter: { id: { $in: ids } }, options });
  return new Map(rows.map((row) => [keyText(row.id), row]));
}

/**
 * MongoDB compares ids of one type only, and orders numbers before texts before object ids, which all look like text here:
 * texts are read upwards by themselves, object ids downwards from the top, numbers upwards from the bottom.
 */
async function* scanMongo(scan: Scan): AsyncGenerator<EntityRecord[]> {
  yield* pages(scan, { id: { $regex: '^' } }, 1);
  yield* leading(pages(scan, undefined, -1), (id) => OBJECT_ID.test(id));
  let least = -Infinity;
  const isNext = (id: string): boolean => INTEGER.test(id) && Number(id) > least && Number.isFinite((least = Number(id)));
  yield* leading(pages(scan, { id: { $gte: LEAST_INTEGER } }, 1), isNext);
}

/** The rows before the first one whose id is of another kind. */
async function* leading(pages: AsyncIterable<EntityRecord[]>, isOfKind: (id: string) => boolean): AsyncGenerator<EntityRecord[]> {
  for await (const page of pages) {
    const end = page.findIndex(({ id }) => !isOfKind(keyText(id)));
    const rows = end < 0 ? page : page.slice(0, end);
    if (rows.length > 0) yield rows;
    if (end >= 0) return;
  }
}

async function* pages(scan: Scan, condition: DalFilter | undefined, direction: 1 | -1): AsyncGenerator<EntityRecord[]> {
  const beyond = direction === 1 ? '$gt' : '$lt';
  let last: unknown;
  for (;;) {
    const after = last === undefined ? undefined : { id: { [beyond]: last } };
    const page = await readPage(scan, [scan.filter, condition, after], direction);
    if (last !== undefined && page[0] !== undefined && keyText(page[0].id) === keyText(last)) throw unpaged(scan);
    if (page.length > 0) yield page;
    if (page.length < scan.batchSize) return;
    last = page.at(-1)?.id;
  }
}

async function readPage(
  { service, entity, batchSize, includeDeleted, select }: Scan,
  conditions: readonly (DalFilter | undefined)[],
  direction: 1 | -1,
): Promise<EntityRecord[]> {
  const parts = conditions.filter((condition) => condition !== undefined && Object.keys(condition).length > 0) as DalFilter[];
  const filter = parts.length > 1 ? { $and: parts } : (parts[0] ?? {});
  const options: QueryOptions = { sort: { id: direction }, limit: batchSize };
  if (includeDeleted === true && entity.softDelete) options.includeDeleted = true;
  if (select !== undefined) options.select = select;
  return await readRows(service, entity, { filter, options });
}

function isMongo(service: SyncService): boolean {
  const dialect = service.dialect as { dialectType?: unknown } | undefined;
  return dialect?.dialectType === 'mongodb' && registeredDialect('mongodb') === undefined;
}

/** A service that passes over the filter would otherwise be read for ever. */
function unpaged({ entity }: Scan): ReplicaverseError {
  return new ReplicaverseError(`${entity.name}: the service gives the same row again after its id; it does not filter by {id: {$gt}}`, {
    kind: 'Unsupported',
    code: 'ERR_UNSUPPORTED',
  });
}
