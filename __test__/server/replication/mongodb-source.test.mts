// Mode cdc from the change streams of MongoDB: documents become rows, and documents elsewhere, as they change.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';
import { DIALECTS, Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const note: EntitySchema = {
  name: 'Note',
  collection: 'notes',
  fields: { text: { type: 'string' }, n: { type: 'number' }, meta: { type: 'json' }, tags: { type: 'array' } },
  relations: {},
  indexes: [],
  timestamps: false,
};

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
});
afterEach(() => manager.disconnectAll());

async function open(to: Dialect): Promise<void> {
  for (const [project, dialect] of [['from', 'mongodb'], ['to', to]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, [note]);
  }
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', collections: ['Note'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

describe.each(DIALECTS)('mongodb → %s', (to) => {
  it('copies what is there, then applies what changes', async () => {
    await open(to);
    const from = service('from');
    await from.create('Note', { id: 'a', text: 'one', n: 1, meta: { deep: { x: 1 } }, tags: ['x'] });
    await from.create('Note', { id: 'b', text: 'two' });
    rule();
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 2, errors: 0, details: [{ created: 2 }] });
    await from.update('Note', 'a', { text: 'ONE', meta: { deep: { x: 2 } } });
    await from.delete('Note', 'b');
    await from.create('Note', { id: 'c', n: 3 });
    expect(await manager.sync('r')).toMatchObject({ errors: 0, details: [{ created: 1, updated: 1, deleted: 1 }] });
    expect(await service('to').findAll('Note', {}, { sort: { id: 1 } })).toMatchObject([
      { id: 'a', text: 'ONE', n: 1, meta: { deep: { x: 2 } }, tags: ['x'] },
      { id: 'c', n: 3 },
    ]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, errors: 0 });
  });

  it('streams until it is stopped', async () => {
    await open(to);
    rule();
    await manager.start('r');
    await service('from').create('Note', { id: 'a', text: 'streamed' });
    await eventually(async () => (await service('to').findById('Note', 'a'))?.text === 'streamed', { what: 'the document' });
    await manager.stop('r');
  });
});

it('keeps fields without a column in one, by option', async () => {
  await open('postgres');
  const insert = { insert: 'notes', documents: [{ _id: 'a', text: 'one', color: 'red', size: { w: 1 } }] };
  await service('from').dialect.executeRun(JSON.stringify(insert));
  rule({ extraFields: 'column' });
  expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1, errors: 0 });
  expect(await service('to').dialect.executeQuery('SELECT text, extra FROM notes')).toEqual([
    { text: 'one', extra: { color: 'red', size: { w: 1 } } },
  ]);
});
