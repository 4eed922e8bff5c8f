// Writes to many rows whose single rows are known, so that each can be told of.
import type { IDialect } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord } from '../types/query.js';
import { BaseRepository } from './repository.js';

/** Rows named in one statement. */
const CHUNK = 500;

/** Changes every row that passes the filter, and gives them as stored. */
export async function updateKnown(repository: BaseRepository, filter: DalFilter, data: object): Promise<{ count: number; rows: EntityRecord[] }> {
  const ids = await matchingIds(repository, filter);
  const count = await inChunks(repository, filter, ids, (chunk, some) => chunk.updateMany(some, data));
  const rows: EntityRecord[] = [];
  for (const chunk of chunksOf(ids)) rows.push(...(await repository.findAll({ id: { $in: chunk } })));
  return { count, rows };
}

/** Deletes every row that passes the filter, and gives the ids of those that are gone. */
export async function deleteKnown(repository: BaseRepository, filter: DalFilter): Promise<{ count: number; ids: EntityIdentity[] }> {
  const ids = await matchingIds(repository, filter);
  const count = await inChunks(repository, filter, ids, (chunk, some) => chunk.deleteMany(some));
  const left = new Set<unknown>();
  if (count < ids.length) {
    for (const chunk of chunksOf(ids)) {
      for (const { id } of await repository.findAll({ id: { $in: chunk } }, { select: ['id'] })) left.add(id);
    }
  }
  return { count, ids: ids.filter((id) => !left.has(id)) };
}

async function matchingIds(repository: BaseRepository, filter: DalFilter): Promise<string[]> {
  return (await repository.findAll(filter, { select: ['id'] })).map(({ id }) => id);
}

/** All rows or none, as one statement does it; MongoDB promises that of no write to many documents. */
async function inChunks(
  repository: BaseRepository,
  filter: DalFilter,
  ids: readonly string[],
  write: (repository: BaseRepository, filter: DalFilter) => Promise<number>,
): Promise<number> {
  const all = async (dialect: IDialect): Promise<number> => {
    const on = new BaseRepository(repository.schema, dialect);
    let count = 0;
    // A row that no longer passes the filter is left alone.
    for (const chunk of chunksOf(ids)) count += await write(on, { $and: [filter, { id: { $in: chunk } }] });
    return count;
  };
  const { dialect } = repository;
  return ids.length > CHUNK && dialect.dialectType !== 'mongodb' ? await dialect.$transaction(all) : await all(dialect);
}

function chunksOf(ids: readonly string[]): (readonly string[])[] {
  const chunks = [];
  for (let from = 0; from < ids.length; from += CHUNK) chunks.push(ids.slice(from, from + CHUNK));
  return chunks;
}
