// Links between rows: copied with snapshotWithRelations and by a CDCListener, left alone by plain syncs.
import { CDCListener, SyncEngine } from 'replicaverse';
import type { EntityDeclaration, EntityService } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PAIRS, Services } from './services.js';

const author: EntityDeclaration = { name: 'Author', collection: 'authors', timestamps: true, softDelete: true, fields: { name: { type: 'string' } } };
const tag: EntityDeclaration = { name: 'Tag', collection: 'tags', timestamps: true, fields: { name: { type: 'string' } } };
const book: EntityDeclaration = {
  name: 'Book',
  collection: 'books',
  timestamps: true,
  fields: { title: { type: 'string' } },
  relations: {
    author: { type: 'many-to-one', target: 'Author', fetch: 'eager' },
    editor: { type: 'many-to-one', target: 'Author', joinColumn: 'editorId' },
    sequel: { type: 'one-to-one', target: 'Book' },
    tags: { type: 'many-to-many', target: 'Tag', through: 'book_tags' },
  },
};
const schemas = [book, author, tag];
const rule = { name: 'library', collections: ['Book', 'Author', 'Tag'] };
const engine = new SyncEngine({ batchSize: 3 });

let services: Services;
beforeAll(async () => {
  services = await Services.start();
});
afterAll(() => services?.stop());

describe.each(PAIRS)('from %s to %s', (from, to) => {
  let source: EntityService;
  let target: EntityService;
  beforeEach(async () => {
    [source, target] = await Promise.all([services.open(from, schemas), services.open(to, schemas)]);
    for (const id of ['t1', 't2', 't3']) await source.create('Tag', { id, name: id });
    for (const id of ['a1', 'a2']) await source.create('Author', { id, name: id });
    for (let n = 9; n >= 1; n--) {
      const sequel = n === 9 ? null : `b${n + 1}`;
      await source.create('Book', { id: `b${n}`, title: `Book ${n}`, author: 'a1', editorId: 'a2', sequel, tags: n % 2 === 0 ? ['t1', 't2'] : ['t3'] });
    }
  });

  const read = (service: EntityService) => service.findWithRelations('Book', {}, ['author', 'editor', 'tags'], { sort: { id: 1 } });

  test('references and links arrive, and a second run changes nothing', async () => {
    const stats = await engine.snapshotWithRelations(source, target, rule, schemas);
    expect(stats).toMatchObject({ recordsSynced: 14, errors: 0 });
    expect(await read(target)).toEqual(await read(source));
    expect((await read(target))[1]).toMatchObject({ author: { id: 'a1' }, tags: [{ id: 't1' }, { id: 't2' }] });
    expect(await engine.snapshotWithRelations(source, target, rule, schemas)).toMatchObject({ recordsSynced: 0, errors: 0 });
  });

  test('links that are added and removed are carried over', async () => {
    await engine.snapshotWithRelations(source, target, rule, schemas);
    await source.update('Book', 'b2', { tags: ['t2', 't3'] });
    await source.update('Book', 'b4', { tags: [] });
    await source.delete('Book', 'b1');
    const stats = await engine.snapshotWithRelations(source, target, rule, schemas);
    expect(stats.details.find(({ collection }) => collection === 'Book')).toMatchObject({ updated: 2, deleted: 1, errors: 0 });
    expect(await read(target)).toEqual(await read(source));
  });

  test('a reference to a row that is hidden stays', async () => {
    await engine.snapshot(source, target, rule);
    await source.delete('Author', 'a1');
    await source.update('Book', 'b3', { title: 'changed' });
    expect(await engine.snapshot(source, target, rule)).toMatchObject({ errors: 0 });
    await target.update('Author', 'a1', { deletedAt: null });
    expect((await target.findById('Book', 'b3'))?.author).toMatchObject({ id: 'a1' });
  });

  test('plain syncs leave the links of the target alone', async () => {
    await engine.snapshotWithRelations(source, target, rule, schemas);
    await source.update('Book', 'b2', { title: 'new title' });
    expect(await engine.snapshot(source, target, rule)).toMatchObject({ recordsSynced: 1, errors: 0 });
    await source.update('Book', 'b4', { title: 'newer title', updatedAt: new Date(Date.now() + 60_000) });
    expect(await engine.bidirectional(source, target, rule)).toMatchObject({ recordsSynced: 1, errors: 0 });
    expect(await read(target)).toEqual(await read(source));
  });

  test('a listener carries links with their rows', async () => {
    await engine.snapshotWithRelations(source, target, rule, schemas);
    const listener = new CDCListener(source, target, { flushIntervalMs: 0 });
    listener.start();
    await source.create('Book', { id: 'c1', title: 'c', author: 'a1', tags: ['t1'] });
    await source.update('Book', 'b2', { title: 'only the title' });
    await source.update('Book', 'b3', { tags: ['t1', 't2', 't3'] });
    await source.addToSet('Book', 'b5', 'tags', 't1');
    await source.pull('Book', 'b4', 'tags', 't1');
    expect(await listener.stop()).toMatchObject({ flushed: 5, errors: 0 });
    expect(await read(target)).toEqual(await read(source));
  });
});
