// What goes through a database or a file comes out as it was.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyData, createIsolatedDialect, EntityService } from 'replicaverse';
import type { BuiltInDialect, CopyEnd, CopyResult } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, DIALECTS, startDatabase } from '../orm/databases.js';
import { THING, type Thing, THINGS, thingsFor } from './everything.js';

const databases = new Map<BuiltInDialect, Database>();
let folder: string;
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-copy-'));
  await Promise.all(DIALECTS.map(async (dialect) => databases.set(dialect, await startDatabase(dialect))));
});
afterAll(async () => {
  await Promise.all([...databases.values()].map((database) => database.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** A service on tables of its own, closed with its database. */
async function service(dialect: BuiltInDialect): Promise<EntityService> {
  const database = databases.get(dialect);
  if (database === undefined) throw new Error(`${dialect} is not started`);
  return new EntityService(await database.connect([THING], { tablePrefix: `copy${process.pid}_${serial++}_` }), [THING]);
}

/** A service with the rows, as `target` can hold them too. */
async function filled(dialect: BuiltInDialect, target = dialect): Promise<EntityService> {
  const source = await service(dialect);
  for (const row of thingsFor([dialect, target])) await source.create('Thing', row);
  return source;
}

const things = (of: EntityService): Promise<Thing[]> => of.findAll<Thing>('Thing', {}, { sort: { id: 1 } });

async function copy(source: CopyEnd, destination: CopyEnd): Promise<CopyResult> {
  const result = await copyData({ source, destinations: [destination], entities: ['Thing'], schemas: [THING] });
  expect(result.failures).toEqual([]);
  expect(result.stats.flatMap(({ failures }) => failures)).toEqual([]);
  return result;
}

describe.each(DIALECTS)('rows of %s', (from) => {
  it.each(DIALECTS)('arrive in %s as they were, and a second copy changes nothing', async (to) => {
    const [source, target] = [await filled(from, to), await service(to)];
    const first = await copy(source, target);
    expect(first.stats[0]).toMatchObject({ entity: 'Thing', read: THINGS.length, created: THINGS.length, updated: 0, errors: 0 });
    expect(await things(target)).toEqual(await things(source));
    const second = await copy(source, target);
    expect(second.stats[0]).toMatchObject({ read: THINGS.length, created: 0, updated: 0, skipped: THINGS.length });
  });

  it.each(['csv', 'json', 'ndjson', 'sql'] as const)('come back from %s files as they were', async (format) => {
    const [source, target] = [await filled(from), await service(from)];
    const file = join(folder, `${from}-${serial++}.${format}`);
    expect((await copy(source, file)).totalCopied).toBe(THINGS.length);
    expect((await copy(file, target)).totalCopied).toBe(THINGS.length);
    expect(await things(target)).toEqual(await things(source));
  });

  it.each(['sqlite', 'mysql'] as const)('come back from a dump in the syntax of %s', async (dialect) => {
    const [source, target] = [await filled(from), await service(from)];
    const file = { format: 'sql', path: join(folder, `${from}-${serial++}.sql`), dialect } as const;
    await copy(source, file);
    await copy({ format: 'sql', path: file.path }, target);
    expect(await things(target)).toEqual(await things(source));
  });
});

it('a dump in the syntax of SQLite is what SQLite itself reads', async () => {
  const source = await filled('sqlite');
  const path = join(folder, 'own.sql');
  await copy(source, { format: 'sql', path, dialect: 'sqlite' });
  const dump = await readFile(path, 'utf8');
  const target = await createIsolatedDialect({ dialect: 'sqlite', uri: join(folder, 'own.db'), schemaStrategy: 'none' });
  try {
    // Rows of ours hold a semicolon within text, never before a line break.
    for (const statement of dump.split(/;\n/).filter((text) => text.trim() !== '')) await target.executeRun(statement);
    const [row] = await target.executeQuery<{ n: number }>('SELECT count(*) AS n FROM sqlite_master WHERE type = \'table\'');
    expect(row?.n).toBe(1);
  } finally {
    await target.disconnect();
  }
});

it('a folder has one file per entity, named like it, and files appear only when they are complete', async () => {
  const source = await filled('sqlite');
  const path = join(folder, 'exported');
  await copy(source, `csv:${path}`);
  expect(await readdir(path)).toEqual(['Thing.csv']);
  const target = await service('postgres');
  await copy(`csv:${path}`, target);
  expect(await things(target)).toEqual(await things(source));
});
