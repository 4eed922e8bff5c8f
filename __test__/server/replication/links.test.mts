// Links of many-to-many relations travel with the entity: junction tables in SQL, lists of ids in MongoDB.
import { MongoClient } from 'mongodb';
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, IDialect, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const post: EntitySchema = {
  name: 'Post',
  collection: 'posts',
  fields: { title: { type: 'string' } },
  relations: { tags: { type: 'many-to-many', target: 'Tag', through: 'post_tags' } },
  indexes: [],
  timestamps: true,
};
const tag: EntitySchema = {
  name: 'Tag',
  collection: 'tags',
  fields: { label: { type: 'string' } },
  relations: { posts: { type: 'many-to-many', target: 'Post', through: 'post_tags' } },
  indexes: [],
  timestamps: true,
};

let databases: Databases;
let manager: ReplicationManager;
let uris: Record<string, string>;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
  uris = {};
});
afterEach(() => manager.disconnectAll());

async function ends(a: Dialect, b: Dialect): Promise<void> {
  for (const [project, dialect] of [['a', a], ['b', b]] as const) {
    const uri = (uris[project] = await databases.create(dialect));
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri }, [post, tag]);
  }
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'a', target: 'b', mode: 'snapshot', collections: ['Tag', 'Post'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

function sql(project: string): IDialect {
  return service(project).dialect;
}

/** The links of a SQL database, as `post tag`. */
async function links(project: string): Promise<string[]> {
  const rows = await sql(project).executeQuery<{ postId: string; tagId: string }>('SELECT "postId", "tagId" FROM post_tags');
  return rows.map(({ postId, tagId }) => `${postId} ${tagId}`).sort();
}

/** Documents of a MongoDB collection, by their ids as text. */
async function documents(project: string, collection: string): Promise<Map<string, Record<string, unknown>>> {
  const client = await MongoClient.connect(uris[project] ?? '');
  const found = await client.db().collection(collection).find().toArray();
  await client.close();
  return new Map(found.map((document) => [String(document._id), document]));
}

async function fill(project: string): Promise<void> {
  for (const id of ['t1', 't2', 't3']) await service(project).create('Tag', { id, label: id });
  await service(project).create('Post', { id: 'p1', title: 'one', tags: ['t2', 't1'] });
  await service(project).create('Post', { id: 'p2', title: 'two', tags: ['t2'] });
  await service(project).create('Post', { id: 'p3', title: 'none' });
}

const quiet = { created: 0, updated: 0, deleted: 0, errors: 0 };

describe.each([['postgres', 'sqlite'], ['sqlite', 'postgres']] as const)('%s → %s', (a, b) => {
  it('a snapshot mirrors the junction as well', async () => {
    await ends(a, b);
    rule({ collections: ['Post', 'Tag'] });
    await fill('a');
    await sql('b').executeRun(`INSERT INTO post_tags ("postId", "tagId") VALUES ('gone', 't1')`);
    const first = await manager.sync('r');
    expect(first).toMatchObject({ errors: 0 });
    expect(first.details.map(({ collection }) => collection)).toEqual(['Post', 'Tag', 'Post.tags']);
    expect(await links('b')).toEqual(['p1 t1', 'p1 t2', 'p2 t2']);
    await service('a').update('Post', 'p1', { tags: ['t3'] });
    await manager.sync('r');
    expect(await links('b')).toEqual(['p1 t3', 'p2 t2']);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('polling takes the links of changed rows along, also those that were removed', async () => {
    await ends(a, b);
    rule({ mode: 'cdc', capture: 'poll' });
    await fill('a');
    expect(await manager.sync('r')).toMatchObject({ errors: 0, recordsSynced: 6 });
    expect(await links('b')).toEqual(['p1 t1', 'p1 t2', 'p2 t2']);
    await service('a').update('Post', 'p1', { tags: ['t3'] });
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect(await links('b')).toEqual(['p1 t3', 'p2 t2']);
  });

  it('the newest version of a row decides its links on both sides', async () => {
    await ends(a, b);
    rule({ mode: 'bidirectional', collections: ['Post', 'Tag'] });
    await fill('a');
    await manager.sync('r');
    expect(await links('b')).toEqual(['p1 t1', 'p1 t2', 'p2 t2']);
    await service('b').update('Post', 'p1', { tags: ['t3'], updatedAt: new Date(Date.now() + 60_000) });
    await service('b').create('Post', { id: 'p4', tags: ['t1'] });
    await manager.sync('r');
    expect(await links('a')).toEqual(['p1 t3', 'p2 t2', 'p4 t1']);
    expect(await links('b')).toEqual(await links('a'));
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
  });
});

describe.each(['postgres', 'sqlite'] as const)('%s and MongoDB', (dialect) => {
  it('rows of a junction become lists of ids on both sides of the relation', async () => {
    await ends(dialect, 'mongodb');
    rule();
    await fill('a');
    expect(await manager.sync('r')).toMatchObject({ errors: 0, recordsSynced: 6 });
    const [posts, tags] = [await documents('b', 'posts'), await documents('b', 'tags')];
    expect(posts.get('p1')).toMatchObject({ title: 'one', tags: ['t1', 't2'] });
    expect(posts.get('p3')).not.toHaveProperty('tags.0');
    expect(tags.get('t2')).toMatchObject({ posts: ['p1', 'p2'] });
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });

    await service('a').update('Post', 'p1', { tags: [] });
    await service('a').delete('Post', 'p2');
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect([...(await documents('b', 'posts')).keys()].sort()).toEqual(['p1', 'p3']);
    expect((await documents('b', 'posts')).get('p1')).not.toHaveProperty('tags.0');
  });

  it('every table of the source, with the junction among them, comes to the same', async () => {
    await ends(dialect, 'mongodb');
    rule({ collections: ['*'] });
    await fill('a');
    const { details } = await manager.sync('r');
    expect(details.map(({ collection, errors }) => [collection, errors])).toEqual([['posts', 0], ['tags', 0]]);
    expect((await documents('b', 'posts')).get('p1')).toMatchObject({ tags: ['t1', 't2'] });
  });

  it('lists of ids become rows of the junction, object ids included', async () => {
    await ends('mongodb', dialect);
    rule({ collections: ['Post', 'Tag'] });
    const label = await service('a').create('Tag', { label: 'made here' });
    await service('a').create('Post', { id: 'p1', title: 'one', tags: ['t1', label.id] });
    await service('a').create('Post', { id: 'p2', title: 'none' });
    expect(await manager.sync('r')).toMatchObject({ errors: 0, recordsSynced: 3 });
    expect(await links('b')).toEqual([`p1 ${label.id}`, 'p1 t1'].sort());
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
    await service('a').update('Post', 'p1', { tags: ['t1'] });
    await manager.sync('r');
    expect(await links('b')).toEqual(['p1 t1']);
    await service('a').delete('Post', 'p1');
    await manager.sync('r');
    expect(await links('b')).toEqual([]);
  });

  it('both sides come to the same links under a bidirectional rule', async () => {
    await ends(dialect, 'mongodb');
    rule({ mode: 'bidirectional', collections: ['Post', 'Tag'] });
    await fill('a');
    await service('b').create('Post', { id: 'p4', title: 'four', tags: ['t3', 't1'] });
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect(await links('a')).toEqual(['p1 t1', 'p1 t2', 'p2 t2', 'p4 t1', 'p4 t3']);
    expect((await documents('b', 'posts')).get('p1')).toMatchObject({ tags: ['t1', 't2'] });
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
    await service('b').update('Post', 'p1', { tags: ['t3'], updatedAt: new Date(Date.now() + 60_000) });
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect(await links('a')).toEqual(['p1 t3', 'p2 t2', 'p4 t1', 'p4 t3']);
    expect((await manager.sync('r')).details).toMatchObject([quiet, quiet]);
  });
});
