// A snapshot rule makes the target a mirror of the source, between any two dialects.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Databases, PAIRS } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const article: EntitySchema = {
  name: 'Article',
  collection: 'articles',
  fields: {
    title: { type: 'string', required: true },
    body: { type: 'text' },
    score: { type: 'number' },
    published: { type: 'boolean' },
    at: { type: 'date' },
    meta: { type: 'json' },
    tags: { type: 'array', arrayOf: 'string' },
  },
  relations: {},
  indexes: [],
  timestamps: true,
};

let databases: Databases;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());

/** A manager with a source and a target that know the entity, and a rule between them. */
async function mirrored(source: Dialect, target: Dialect, conflictResolution: 'source-wins' | 'target-wins' | 'timestamp' = 'source-wins') {
  const manager = new ReplicationManager();
  await manager.addReplica('from', { name: 'm', role: 'master', dialect: source, uri: await databases.create(source) }, [article]);
  await manager.addReplica('to', { name: 'm', role: 'master', dialect: target, uri: await databases.create(target) }, [article]);
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'snapshot', collections: ['Article'], conflictResolution });
  const service = (project: string): EntityService => {
    const found = manager.resolveWriteService(project);
    if (!found) throw new Error(`no master in ${project}`);
    return found;
  };
  return { manager, from: service('from'), to: service('to') };
}

const rows = [
  { id: 'plain', title: 'One', body: 'text', score: 1.5, published: true, at: new Date('2024-02-29T12:34:56.789Z'), meta: { a: [1, { b: null }] }, tags: ['x', 'y'] },
  { id: 'ünïcode 😀', title: 'é\u0301 "quoted" \\ \n\t', body: '', score: -0.1, published: false, at: new Date('1905-06-30T00:00:00.000Z'), meta: [], tags: [] },
  { id: 'nulls', title: 'only a title' },
];

describe.each(PAIRS)('%s → %s', (source, target) => {
  it('creates, updates and deletes until both sides are equal, and then changes nothing', async () => {
    const { manager, from, to } = await mirrored(source, target);
    for (const row of rows) await from.create('Article', row);

    const first = await manager.sync('r');
    expect(first).toMatchObject({ ruleName: 'r', recordsSynced: 3, errors: 0 });
    expect(first.lastSync).toBeInstanceOf(Date);
    expect(first.details).toMatchObject([{ collection: 'Article', created: 3, updated: 0, deleted: 0, skipped: 0 }]);
    const byId = { sort: { id: 1 } } as const;
    expect(await to.findAll('Article', {}, byId)).toEqual(await from.findAll('Article', {}, byId));

    await from.update('Article', 'plain', { score: 2, meta: { a: 2 } });
    await from.delete('Article', 'nulls');
    await from.create('Article', { id: 'new', title: 'New' });
    await to.create('Article', { id: 'orphan', title: 'Orphan' });
    expect((await manager.sync('r')).details).toMatchObject([{ created: 1, updated: 1, deleted: 2, skipped: 1, errors: 0 }]);
    expect(await to.findAll('Article', {}, byId)).toEqual(await from.findAll('Article', {}, byId));

    expect((await manager.sync('r')).details).toMatchObject([{ created: 0, updated: 0, deleted: 0, skipped: 3, errors: 0 }]);
    expect(await manager.verify('r')).toMatchObject({ equal: true, collections: [{ rows: 3, equal: 3, missing: 0, extra: 0 }] });
    await manager.disconnectAll();
  });

  it('lets the target keep its version when the rule says so', async () => {
    const { manager, from, to } = await mirrored(source, target, 'target-wins');
    await from.create('Article', { id: 'a', title: 'source' });
    await to.create('Article', { id: 'a', title: 'target' });
    expect((await manager.sync('r')).details).toMatchObject([{ created: 0, updated: 0, skipped: 1 }]);
    expect(await to.findById('Article', 'a')).toMatchObject({ title: 'target' });
    expect(await manager.verify('r')).toMatchObject({ equal: false, collections: [{ different: 1 }] });
    await manager.disconnectAll();
  });

  it('lets the later updatedAt win when the rule says so', async () => {
    const { manager, from, to } = await mirrored(source, target, 'timestamp');
    const [early, late] = [new Date('2024-01-01T00:00:00Z'), new Date('2024-01-02T00:00:00Z')];
    for (const [id, ours, theirs] of [['a', late, early], ['b', early, late]] as const) {
      await from.create('Article', { id, title: 'source', updatedAt: ours });
      await to.create('Article', { id, title: 'target', updatedAt: theirs });
    }
    expect((await manager.sync('r')).details).toMatchObject([{ updated: 1, skipped: 1 }]);
    expect(await to.findById('Article', 'a')).toMatchObject({ title: 'source', updatedAt: late });
    expect(await to.findById('Article', 'b')).toMatchObject({ title: 'target', updatedAt: late });
    await manager.disconnectAll();
  });
});
