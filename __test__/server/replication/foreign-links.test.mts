// Links of many-to-many relations go from and to dialects of the application's own, however these keep them.
import { registerDialect, ReplicationManager } from 'replicaverse';
import type { DalFilter, EntityDeclaration, EntitySchema, EntityService, QueryOptions, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import { MemoryDialect } from './memory-dialect.mjs';

type Row = Record<string, unknown>;

const post: EntitySchema = {
  name: 'Post',
  collection: 'posts',
  fields: { title: { type: 'string' } },
  relations: { tags: { type: 'many-to-many', target: 'Tag', through: 'post_tags', cascade: ['all'], fetch: 'eager' } },
  indexes: [],
  timestamps: true,
};
const tag: EntitySchema = { name: 'Tag', collection: 'tags', fields: { label: { type: 'string' } }, relations: {}, indexes: [], timestamps: true };

/** Keeps links apart from rows, as a SQL database does: they come with `findWithRelations` only. */
class JunctionDialect extends MemoryDialect {
  readonly #links = new Map<string, string[]>();

  override async create(schema: EntityDeclaration, data: object): Promise<Row> {
    const row = await super.create(schema, this.#keep(data as Row));
    return row;
  }

  override async update(schema: EntityDeclaration, id: unknown, data: object): Promise<Row | null> {
    return await super.update(schema, id, this.#keep({ ...data, id: String(id) }));
  }

  override async find(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<Row[]> {
    const rows = await super.find(schema, filter, options);
    return rows.map((row) => ({ ...row, tags: [] }));
  }

  async findWithRelations(schema: EntityDeclaration, filter: DalFilter, relations: string[], options?: QueryOptions): Promise<Row[]> {
    const rows = await this.find(schema, filter, options);
    const linked = ({ id }: Row) => (this.#links.get(String(id)) ?? []).map((other) => ({ id: other, label: 'the row itself' }));
    return relations.includes('tags') ? rows.map((row) => ({ ...row, tags: linked(row) })) : rows;
  }

  #keep({ tags, ...row }: Row): Row {
    if (Array.isArray(tags)) this.#links.set(String(row.id), tags.map(String));
    return row;
  }
}

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
  registerDialect('oracle', () => new MemoryDialect());
  registerDialect('mssql', () => new JunctionDialect());
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
});
afterEach(() => manager.disconnectAll());

async function end(project: string, dialect: 'oracle' | 'mssql' | 'postgres' | 'mongodb'): Promise<void> {
  const uri = dialect === 'postgres' || dialect === 'mongodb' ? await databases.create(dialect) : 'own://';
  await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri }, [post, tag]);
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'a', target: 'b', mode: 'snapshot', collections: ['Tag', 'Post'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

/** The links of each post, sorted. */
async function links(project: string, dialect: string): Promise<Record<string, string[]>> {
  const rows: Row[] = dialect === 'oracle' ? await service(project).findAll('Post') : await service(project).findWithRelations('Post', {}, ['tags']);
  const ids = (list: unknown) => (list as (string | { id: string })[]).map((item) => (typeof item === 'string' ? item : item.id)).sort();
  return Object.fromEntries(rows.map((row) => [row.id, ids(row.tags ?? [])]));
}

async function fill(project: string): Promise<void> {
  for (const id of ['t1', 't2', 't3']) await service(project).create('Tag', { id, label: id, updatedAt: new Date(1) });
  await service(project).create('Post', { id: 'p1', title: 'one', tags: ['t2', 't1'], updatedAt: new Date(1) });
  await service(project).create('Post', { id: 'p2', title: 'none', tags: [], updatedAt: new Date(1) });
}

const quiet = { created: 0, updated: 0, deleted: 0, errors: 0 };

describe.each([
  ['oracle', 'postgres'],
  ['postgres', 'oracle'],
  ['mssql', 'postgres'],
  ['postgres', 'mssql'],
  ['mssql', 'mongodb'],
  ['mongodb', 'mssql'],
  ['oracle', 'mssql'],
] as const)('%s → %s', (a, b) => {
  it('a snapshot takes the links along, also those that were removed', async () => {
    await end('a', a);
    await end('b', b);
    rule();
    await fill('a');
    expect(await manager.sync('r')).toMatchObject({ errors: 0, recordsSynced: 5 });
    expect(await links('b', b)).toEqual({ p1: ['t1', 't2'], p2: [] });
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
    await service('a').update('Post', 'p1', { tags: ['t3'] });
    expect((await manager.sync('r')).details).toMatchObject([quiet, { ...quiet, updated: 1 }]);
    expect(await links('b', b)).toEqual({ p1: ['t3'], p2: [] });
  });
});

it('both sides come to the same links under a bidirectional rule', async () => {
  await end('a', 'mssql');
  await end('b', 'postgres');
  rule({ mode: 'bidirectional' });
  await fill('a');
  await service('b').create('Post', { id: 'p3', title: 'three', tags: ['t3'], updatedAt: new Date(1) });
  expect(await manager.sync('r')).toMatchObject({ errors: 0 });
  await service('b').update('Post', 'p1', { tags: ['t3'], updatedAt: new Date(2) });
  expect(await manager.sync('r')).toMatchObject({ errors: 0 });
  expect(await links('a', 'mssql')).toEqual({ p1: ['t3'], p2: [], p3: ['t3'] });
  expect(await links('b', 'postgres')).toEqual(await links('a', 'mssql'));
  expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
});

it('polling takes the links of changed rows along', async () => {
  await end('a', 'mssql');
  await end('b', 'postgres');
  rule({ mode: 'cdc', capture: 'poll' });
  await fill('a');
  expect(await manager.sync('r')).toMatchObject({ errors: 0, recordsSynced: 5 });
  await service('a').update('Post', 'p1', { tags: ['t3'], updatedAt: new Date() });
  expect(await manager.sync('r')).toMatchObject({ errors: 0 });
  expect(await links('b', 'postgres')).toEqual({ p1: ['t3'], p2: [] });
});
