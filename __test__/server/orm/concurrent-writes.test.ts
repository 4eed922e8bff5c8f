// Writes of several statements that run at once within one transaction: each is whole or not at all, and keeps nothing of the others.
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startDatabase } from './databases.js';
import type { Database } from './databases.js';

const tag: EntityDeclaration = { name: 'Tag', collection: 'tags', fields: { label: { type: 'string', unique: true } } };
const book: EntityDeclaration = {
  name: 'Book',
  collection: 'books',
  fields: { title: { type: 'string', unique: true } },
  relations: { tags: { type: 'many-to-many', target: 'Tag', through: 'book_tags', cascade: ['all'] } },
};
const shelf: EntityDeclaration = {
  name: 'Shelf',
  collection: 'shelves',
  fields: {},
  relations: { items: { type: 'one-to-many', target: 'Item', mappedBy: 'shelf', cascade: ['all'], orphanRemoval: true } },
};
const item: EntityDeclaration = {
  name: 'Item',
  collection: 'items',
  fields: { label: { type: 'string' } },
  relations: { shelf: { type: 'many-to-one', target: 'Shelf' } },
};
const log: EntityDeclaration = { name: 'Log', collection: 'logs', fields: { text: { type: 'string' } } };

describe.each(['sqlite', 'postgres', 'mariadb'] as const)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  beforeEach(async () => {
    db = await database.connect([book, tag, log, shelf, item]);
    await db.create(tag, { label: 'taken' });
  });
  afterAll(() => database?.stop());

  test('a refused one takes nothing of the others with it', async () => {
    const outcomes = await db.$transaction((tx) =>
      Promise.allSettled([
        tx.create(book, { id: 'b', title: 'refused', tags: [{ label: 'a' }, { label: 'b' }, { label: 'taken' }] }),
        ...['1', '2', '3', '4'].map((id) => tx.create(log, { id, text: 'kept' })),
      ]),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled']);
    expect((await db.find(log, {}, { sort: { id: 1 } })).map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
    expect(await db.count(book)).toBe(0);
    expect(await db.count(tag)).toBe(1);
  });

  test('all of them are stored with what belongs to them', async () => {
    const numbers = [1, 2, 3, 4, 5];
    await db.$transaction((tx) =>
      Promise.all(numbers.map((n) => tx.create(book, { id: `b${n}`, title: `Book ${n}`, tags: [{ label: `x${n}` }, { label: `y${n}` }] }))),
    );
    const books = await db.findWithRelations<{ tags: { label: string }[] }>(book, {}, ['tags'], { sort: { id: 1 } });
    expect(books.map(({ tags }) => tags.map(({ label }) => label).sort())).toEqual(numbers.map((n) => [`x${n}`, `y${n}`]));
  });

  test('lists of one row that are written at once leave what one of them says, and no orphans', async () => {
    await db.create(shelf, { id: 's' });
    for (let round = 0; round < 10; round++) {
      const lists = ['a', 'b', 'c'].map((list) => [1, 2].map((n) => ({ label: `${round} ${list} ${n}` })));
      await Promise.all(lists.map((items) => db.update(shelf, 's', { items })));
      const labels = (await db.find<{ label: string }>(item, {}, { sort: { label: 1 } })).map(({ label }) => label);
      expect(lists.map((items) => items.map(({ label }) => label))).toContainEqual(labels);
    }
  });
});
