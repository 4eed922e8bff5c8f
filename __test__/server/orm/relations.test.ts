// Relations as an application sees them: the same behaviour on every dialect.
import { BaseRepository, clearRegistry, EntityService, registerSchema } from 'replicaverse';
import type { DalFilter, EntityDeclaration, EntityRecord, IDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';

const author: EntityDeclaration = {
  name: 'Author',
  collection: 'authors',
  fields: { name: { type: 'string' }, born: { type: 'date' } },
  relations: {
    books: { type: 'one-to-many', target: 'Book', mappedBy: 'author', cascade: ['all'], orphanRemoval: true },
  },
};
const book: EntityDeclaration = {
  name: 'Book',
  collection: 'books',
  fields: { title: { type: 'string' } },
  relations: {
    author: { type: 'many-to-one', target: 'Author', joinColumn: 'authorId', onDelete: 'cascade' },
    tags: { type: 'many-to-many', target: 'Tag', through: 'book_tags', cascade: 'persist' },
    cover: { type: 'one-to-one', target: 'Cover', fetch: 'eager', nullable: true },
  },
};
const tag: EntityDeclaration = {
  name: 'Tag',
  collection: 'tags',
  fields: { name: { type: 'string' } },
  relations: { books: { type: 'many-to-many', target: 'Book', through: 'book_tags', mappedBy: 'tags' } },
};
const cover: EntityDeclaration = { name: 'Cover', collection: 'covers', fields: { color: { type: 'string' } } };
const all = [author, book, tag, cover];

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  beforeEach(async () => {
    db = await database.connect(all);
    await db.create(cover, { id: 'c', color: 'red' });
    await db.create(author, {
      id: 'a',
      name: 'Ann',
      born: new Date(1000),
      books: [
        { id: 'b1', title: 'One', cover: 'c', tags: [{ id: 't1', name: 'new' }, { id: 't2', name: 'old' }] },
        { id: 'b2', title: 'Two', tags: ['t2'] },
      ],
    });
  });
  afterEach(() => clearRegistry());
  afterAll(() => database?.stop());

  const ids = (rows: unknown) => (rows as EntityRecord[]).map(({ id }) => id);

  test('rows are found by the ids that a many-to-many relation leads to', async () => {
    await db.create(book, { id: 'b3', title: 'Three' });
    const found = async (filter: DalFilter) => ids(await db.find(book, filter, { sort: { id: 1 } }));
    expect(await found({ tags: 't2' })).toEqual(['b1', 'b2']);
    expect(await found({ tags: { $in: ['t1', 'none'] } })).toEqual(['b1']);
    expect(await found({ $or: [{ tags: 't1' }, { title: 'Three' }] })).toEqual(['b1', 'b3']);
    expect(await found({ tags: { $ne: 't1' } })).toEqual(['b2', 'b3']);
    expect(await found({ tags: { $nin: ['t1', 't2'] } })).toEqual(['b3']);
    expect(await db.count(book, { tags: 't1' })).toBe(1);
    expect(await db.updateMany(book, { tags: 't2' }, { title: 'both' })).toBe(2);
    expect(await db.deleteMany(book, { tags: 't2' })).toBe(2);
    expect(ids(await db.find(book))).toEqual(['b3']);
  });

  if (dialect !== 'mongodb') {
    test('a many-to-many relation is tested for links, and for nothing that ids do not have', async () => {
      await db.create(book, { id: 'b3', title: 'Three' });
      const found = async (filter: DalFilter) => ids(await db.find(book, filter, { sort: { id: 1 } }));
      expect(await found({ tags: { $exists: true } })).toEqual(['b1', 'b2']);
      expect(await found({ tags: null })).toEqual(['b3']);
      expect(await found({ tags: { $in: ['t1', null] } })).toEqual(['b1', 'b3']);
      expect(await found({ tags: { $in: [] } })).toEqual([]);
      expect(await found({ tags: "t1' OR '1'='1" })).toEqual([]);
      await expect(found({ tags: { $gt: 't' } })).rejects.toMatchObject({ kind: 'Filter' });
      await expect(found({ tags: ['t1', 't2'] })).rejects.toMatchObject({ kind: 'Filter' });
    });
  }

  test('changes may be given as operators', async () => {
    expect(await db.updateMany(book, { tags: 't2' }, { $pull: { tags: 't2' } })).toBe(2);
    expect(await db.count(book, { tags: 't2' })).toBe(0);
    const changed = await db.update(book, 'b2', { $set: { title: 'new' }, $addToSet: { tags: { $each: ['t1', 't2'] } } });
    expect(changed).toMatchObject({ title: 'new' });
    expect(await db.count(book, { tags: { $in: ['t1', 't2'] } })).toBe(2);
    expect(await db.update(book, 'none', { $set: { title: 'x' } })).toBeNull();
    await expect(db.update(book, 'b2', { $rename: { title: 'name' } })).rejects.toMatchObject({ kind: 'Value' });
  });

  test('rows are read with what their relations lead to', async () => {
    const [first, second] = await db.findWithRelations(book, {}, ['author', 'tags'], { sort: { id: 1 } });
    expect(first).toMatchObject({ id: 'b1', authorId: 'a', author: { id: 'a', name: 'Ann', born: new Date(1000) } });
    expect(ids(first?.tags)).toEqual(['t1', 't2']);
    expect(ids(second?.tags)).toEqual(['t2']);
    const whole = await db.findByIdWithRelations(author, 'a', ['books.tags.books']);
    expect(whole).toMatchObject({ books: [{ tags: [{ books: [{ id: 'b1' }] }, { books: [{ id: 'b1' }, { id: 'b2' }] }] }, {}] });
    expect(await db.findByIdWithRelations(author, 'none', ['books'])).toBeNull();
    const books = new BaseRepository(book, db);
    expect(ids(await books.findWithRelations({ title: 'Two' }, ['tags']))).toEqual(['b2']);
    expect(await books.findByIdWithRelations('b2')).toMatchObject({ id: 'b2', authorId: 'a' });
  });

  test('eager relations come with every read, lazy ones do not', async () => {
    expect(await db.findById(book, 'b1')).toMatchObject({ cover: { id: 'c', color: 'red' }, authorId: 'a' });
    expect(await db.findOne(book, { title: 'One' })).toMatchObject({ cover: { color: 'red' } });
    expect(await db.find(book, {}, { sort: { id: 1 } })).toMatchObject([{ cover: { color: 'red' } }, { cover: null }]);
    expect(await db.findById(book, 'b1')).not.toHaveProperty('author');
  });

  test('each relation is one query for all rows, and without relations each operation is one statement', async () => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    try {
      const alone: EntityDeclaration = { name: 'Alone', collection: 'alone', fields: { n: { type: 'number' } } };
      const loud = await database.connect([...all, alone], { showSql: true });
      for (const id of ['1', '2', '3']) await loud.create(author, { id, books: [{ title: id }, { title: id }] });
      await loud.create(alone, { id: 'warm' });
      await loud.find(alone);
      // Statements are printed in their order, but the last one may be printed after its outcome is known.
      const statements = async (work: () => Promise<unknown>) => {
        printed.mockClear();
        await loud.count(alone);
        await vi.waitFor(() => expect(printed.mock.lastCall?.[0]).toMatch(/count/i));
        const last: unknown = printed.mock.lastCall?.[0];
        printed.mockClear();
        await work();
        await loud.count(alone);
        await vi.waitFor(() => expect(printed).toHaveBeenLastCalledWith(last));
        return printed.mock.calls.length - 1;
      };
      expect(await statements(() => loud.findWithRelations(author, {}, ['books']))).toBe(2);
      expect(await statements(() => loud.create(alone, { id: '1' }))).toBe(1);
      // MariaDB's UPDATE returns no rows, which are read again.
      expect(await statements(() => loud.update(alone, '1', { n: 1 }))).toBe(dialect === 'mariadb' ? 2 : 1);
      expect(await statements(() => loud.find(alone))).toBe(1);
      expect(await statements(() => loud.delete(alone, '1'))).toBe(1);
    } finally {
      printed.mockRestore();
    }
  });

  test('an update deletes the children that it does not list', async () => {
    await db.update(author, 'a', { books: [{ id: 'b2', title: 'Second' }, { title: 'Three' }] });
    expect((await db.find(book, {}, { sort: { title: 1 } })).map(({ title }) => title)).toEqual(['Second', 'Three']);
    expect(await db.findByIdWithRelations(tag, 't1', ['books'])).toMatchObject({ books: [] });
  });

  test('a delete takes the rows that belong to the row along', async () => {
    expect(await db.delete(author, 'a')).toBe(true);
    expect(await db.count(book)).toBe(0);
    expect(await db.count(tag)).toBe(2);
    expect(await db.findByIdWithRelations(tag, 't2', ['books'])).toMatchObject({ books: [] });
  });

  test('onDelete holds within a transaction, too, and is undone with it', async () => {
    const failure = new Error('on purpose');
    const work = db.$transaction(async (tx) => {
      expect(await tx.deleteMany(author, {})).toBe(1);
      expect(await tx.count(book)).toBe(0);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await db.count(book)).toBe(2);
  });

  test('an error in a nested row leaves nothing', async () => {
    const broken = { id: 'x', name: 'Xan', books: [{ id: 'x1' }, { id: 'x2', author: 'a', cover: { color: 'no cascade' } }] };
    await expect(db.create(author, broken)).rejects.toMatchObject({
      kind: 'Value',
      message: expect.stringContaining('Book.cover'),
    });
    expect(await db.count(author)).toBe(1);
    expect(await db.count(book)).toBe(2);
  });

  test('a service whose schemas are registered only later finds their relations', async () => {
    const plain = await database.connect([]);
    await plain.initSchema([cover]);
    const service = new EntityService(plain);
    registerSchema([author, book]);
    await expect(service.getRepo('Book').findWithRelations({}, ['tags'])).rejects.toMatchObject({
      kind: 'UnknownEntity',
      code: 'ENTITY_NOT_FOUND',
      message: expect.stringContaining('Book.tags: the target entity "Tag" is not registered'),
    });
    registerSchema(tag);
    await plain.initSchema([author, book, tag]);
    await service.create('Author', { id: 'z', books: [{ id: 'z1', tags: [{ id: 'zt' }] }] });
    expect(await service.getRepo('Author').findWithRelations({}, ['books.tags'])).toMatchObject([{ books: [{ tags: [{ id: 'zt' }] }] }]);
  });

  test.each([['title'], ['none'], ['tags"; DROP TABLE books; --'], ['author.$where'], ['__proto__'], ['']])(
    'the name %j, which is no relation, is refused',
    async (name) => {
      await expect(db.findWithRelations(book, {}, [name])).rejects.toMatchObject({
        kind: 'Filter',
        message: expect.stringContaining('unknown relation'),
      });
      expect(await db.count(book)).toBe(2);
    },
  );

  test('relations of a wrong type are named', async () => {
    const wrong = (value: unknown) => value as never;
    await expect(db.findWithRelations(book, {}, wrong('author'))).rejects.toMatchObject({
      message: expect.stringContaining('relations: expected a list of strings'),
    });
    await expect(db.findByIdWithRelations(book, 'b1', wrong([5]))).rejects.toMatchObject({
      message: expect.stringContaining('relations[0]: expected a string'),
    });
  });
});
