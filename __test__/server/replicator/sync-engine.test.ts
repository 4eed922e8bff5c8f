// SyncEngine between real databases: every type of field arrives, and a second run finds nothing to do.
import { SyncEngine } from 'replicaverse';
import type { EntityDeclaration, EntityRecord, EntityService } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { note, person } from '../orm/schemas.js';
import { PAIRS, Services } from './services.js';

const people = { name: 'people', collections: ['Person'] };
const engine = new SyncEngine({ batchSize: 7 });

let services: Services;
beforeAll(async () => {
  services = await Services.start();
});
afterAll(() => services?.stop());

const born = new Date('1815-12-10T00:00:00.123Z');
const profile = { languages: ['fr', 'en'], nested: { 'a.b': null, list: [1, 2.5, 'x'] }, empty: {} };

async function fill(service: EntityService, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    await service.create('Person', { name: `Person ${index}`, email: `p${index}@x.org`, age: index / 3, born, profile, tags: ['a', 'ü', ''], bio: '' });
  }
}

const all = (service: EntityService, entity = 'Person') => service.findAll(entity, {}, { sort: { name: 1 } });

describe.each(PAIRS)('from %s to %s', (from, to) => {
  let source: EntityService;
  let target: EntityService;
  beforeEach(async () => {
    [source, target] = await Promise.all([services.open(from, [person, note]), services.open(to, [person, note])]);
  });

  test('a snapshot mirrors rows of every type with their ids and dates', async () => {
    await fill(source, 20);
    await target.create('Person', { name: 'nobody' });
    const stats = await engine.snapshot(source, target, people);
    expect(stats).toMatchObject({ recordsSynced: 21, errors: 0, details: [{ created: 20, deleted: 1, conversions: [] }] });
    expect(await all(target)).toEqual(await all(source));
    expect(await engine.snapshot(source, target, people)).toMatchObject({ recordsSynced: 0, details: [{ skipped: 20 }] });
  });

  test('changes and deletions are carried over by the next one', async () => {
    await fill(source, 9);
    await engine.snapshot(source, target, people);
    const [first, second] = await all(source);
    await source.update('Person', first!.id, { profile: null, tags: [], active: false, role: 'admin' });
    await source.delete('Person', second!.id);
    expect(await engine.snapshot(source, target, people)).toMatchObject({ details: [{ created: 0, updated: 1, deleted: 1, errors: 0 }] });
    expect(await all(target)).toEqual(await all(source));
  });

  test('an emptied field with a default is emptied at the target too', async () => {
    const row = await source.create('Person', { name: 'x' });
    await source.update('Person', row.id, { role: null, active: null });
    await engine.snapshot(source, target, people);
    expect(await target.findById('Person', row.id)).toEqual(await source.findById('Person', row.id));
    expect(await engine.snapshot(source, target, people)).toMatchObject({ recordsSynced: 0 });
  });

  test('an incremental sync copies what has changed, and soft deletions', async () => {
    await fill(source, 5);
    const kept = await source.create('Note', { title: 'kept' });
    const both = { name: 'both', collections: ['Person', 'Note'] };
    const noted: EntityDeclaration = { ...note, timestamps: true };
    [source, target] = await Promise.all([services.open(from, [person, noted]), services.open(to, [person, noted])]);
    await fill(source, 5);
    await source.create('Note', { id: kept.id, title: 'kept' });
    const first = await engine.incremental(source, target, both);
    expect(first.stats).toMatchObject({ recordsSynced: 6, errors: 0 });
    const [one] = await all(source);
    await source.update('Person', one!.id, { age: 99 });
    await source.delete('Note', kept.id);
    const second = await new SyncEngine({ overlapMs: 0 }).incremental(source, target, both, JSON.parse(JSON.stringify(first.newCursor)));
    expect(second.stats.errors).toBe(0);
    expect(await target.findById('Person', one!.id)).toMatchObject({ age: 99 });
    expect(await target.count('Note')).toBe(0);
  });

  test('after a sync in both directions both sides are equal, and a second one changes nothing', async () => {
    await fill(source, 10);
    await engine.snapshot(source, target, people);
    const rows = await all(source);
    const later = new Date(Date.now() + 60_000);
    await source.update('Person', rows[0]!.id, { age: 1, updatedAt: later });
    await target.update('Person', rows[0]!.id, { age: 2 });
    await target.update('Person', rows[1]!.id, { age: 3, updatedAt: later });
    await target.create('Person', { name: 'new here' });
    await source.update('Person', rows[2]!.id, { bio: 'tie a', updatedAt: later });
    await target.update('Person', rows[2]!.id, { bio: 'tie b', updatedAt: later });
    const stats = await engine.bidirectional(source, target, people);
    expect(stats).toMatchObject({ errors: 0, details: [{ created: 1, updated: 3, conflicts: 3 }] });
    expect(await all(source)).toEqual(await all(target));
    expect((await source.findById('Person', rows[0]!.id))?.age).toBe(1);
    expect((await source.findById('Person', rows[1]!.id))?.age).toBe(3);
    expect((await target.findById('Person', rows[2]!.id))?.bio).toBe('tie b');
    expect(await engine.bidirectional(source, target, people)).toMatchObject({ recordsSynced: 0, details: [{ conflicts: 0 }] });
  });

  test('a row that the target refuses is named, and comes when the target takes it', async () => {
    await fill(source, 3);
    const taken = await target.create('Person', { name: 'taken', email: 'p1@x.org' });
    const stats = await engine.snapshot(source, target, { ...people, conflictResolution: 'target-wins' });
    expect(stats).toMatchObject({ errors: 1, details: [{ created: 2, failures: [{ reason: expect.any(String) }] }] });
    expect(await target.findById('Person', taken.id)).toBeNull();
    expect(await engine.snapshot(source, target, people)).toMatchObject({ errors: 0, recordsSynced: 1 });
  });
});

test('rows of MongoDB are all read, whatever the kinds of their ids', async () => {
  const plain: EntityDeclaration = { name: 'Plain', collection: 'plains', fields: { n: { type: 'number' } } };
  const [source, target] = await Promise.all([services.open('mongodb', [plain]), services.open('sqlite', [plain])]);
  const collection = await collectionOf(source, plain);
  const hex = (n: number) => n.toString(16).padStart(2, '0').repeat(12);
  const documents = Array.from({ length: 30 }, (_, n) => [
    { _id: { $oid: hex(n + 5) }, n },
    { _id: `text-${String(n).padStart(2, '0')}`, n },
    { _id: `ffff${n}`, n },
    { _id: 1000 + n, n },
  ]).flat();
  await source.dialect.executeRun(JSON.stringify({ insert: collection, documents }));
  const stats = await engine.snapshot(source, target, { name: 'r', collections: ['Plain'] });
  expect(stats).toMatchObject({ errors: 0, details: [{ created: 120 }] });
  expect(await target.count('Plain')).toBe(120);
  expect(await engine.snapshot(source, target, { name: 'r', collections: ['Plain'] })).toMatchObject({ recordsSynced: 0 });
});

/** The name of an entity's collection, whose prefix only the connection knows. */
async function collectionOf({ dialect }: EntityService, schema: EntityDeclaration): Promise<string> {
  const collections = await dialect.executeQuery<EntityRecord>(JSON.stringify({ listCollections: 1 }));
  const names = collections.map(({ name }) => String(name)).filter((name) => name.endsWith(`_${schema.collection!}`));
  return names.sort().at(-1)!;
}
