// The operations beyond reading and writing single rows: the same behaviour on every dialect.
import { BaseRepository } from 'replicaverse';
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { note, person } from './schemas.js';

const text: EntityDeclaration = { name: 'Text', collection: 'texts', fields: { body: { type: 'text' } } };

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;
  let people: BaseRepository;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  beforeEach(async () => {
    db = await database.connect([person, note, text]);
    people = new BaseRepository(person, db);
    for (const data of [
      { id: '1', name: 'Ada', age: 36, tags: ['math', 'code'], born: new Date(1000), bio: 'Élan' },
      { id: '2', name: 'Bob', age: 20, tags: ['code'], active: false },
      { id: '3', name: 'Cid', age: 20, bio: '100%' },
      { id: '4', name: 'Eve' },
    ]) {
      await people.create(data);
    }
  });
  afterAll(() => database?.stop());

  test('many rows are changed and deleted at once, and counted', async () => {
    expect(await people.updateMany({ age: 20 }, { active: true, age: 21 })).toBe(2);
    expect(await people.count({ age: 21, active: true })).toBe(2);
    expect(await people.updateMany({ age: 99 }, { active: true })).toBe(0);
    expect(await people.deleteMany({ name: /^[AB]/ })).toBe(2);
    expect(await people.deleteMany({})).toBe(2);
    expect(await people.count()).toBe(0);
  });

  test('texts that many rows share, few share and none shares are read as they were written', async () => {
    const bodies = Array.from({ length: 700 }, (_, row) => {
      const shared = ['Łódź', '', null, 'a😀b', `${row % 90} of ninety`];
      return row < 300 ? shared[row % shared.length] : row < 500 ? `alone ${row}` : shared[(row * 7) % shared.length];
    });
    const texts = new BaseRepository(text, db);
    await db.$transaction(async (tx) => {
      for (const [row, body] of bodies.entries()) await tx.create(text, { id: String(row).padStart(3, '0'), body });
    });
    const found = await texts.findAll({}, { sort: { id: 1 } });
    expect(found.map((row) => row.body ?? null)).toEqual(bodies.map((body) => body ?? null));
  });

  test('a number beyond 2^53 is stored, found and incremented as the double that it is', async () => {
    await people.update('1', { age: 2 ** 60 });
    expect(await people.count({ age: 2 ** 60 })).toBe(1);
    expect(await people.count({ age: { $gte: 1e17 } })).toBe(1);
    expect(await people.increment('2', 'age', 1e17)).toMatchObject({ age: 1e17 + 20 });
  });

  test('a soft delete of many rows counts those that were not deleted', async () => {
    await db.create(note, { id: '1' });
    await db.create(note, { id: '2' });
    await db.delete(note, '1');
    expect(await db.updateMany(note, {}, { pinned: true })).toBe(1);
    expect(await db.deleteMany(note, {})).toBe(1);
    expect(await db.count(note, {}, { includeDeleted: true })).toBe(2);
  });

  test('the different values of a field are given in order, with dates as dates', async () => {
    expect(await people.distinct('age')).toEqual([20, 36]);
    expect(await people.distinct('tags')).toEqual(['code', 'math']);
    expect(await people.distinct('born')).toEqual([new Date(1000)]);
    expect(await people.distinct('name', { age: { $gt: 30 } })).toEqual(['Ada']);
    await db.create(note, { title: 'gone', id: '1' });
    await db.delete(note, '1');
    expect(await db.distinct(note, 'title')).toEqual([]);
    expect(await db.distinct(note, 'title', {}, { includeDeleted: true })).toEqual(['gone']);
  });

  test('rows are summed up by group', async () => {
    const groups = await people.aggregate([
      { $match: { name: { $ne: 'Eve' } } },
      { $group: { _by: 'age', people: { $count: true }, sum: { $sum: '$age' }, first: { $min: 'name' } } },
      { $sort: { people: -1 } },
      { $limit: 5 },
    ]);
    expect(groups).toEqual([
      { age: 20, people: 2, sum: 40, first: 'Bob' },
      { age: 36, people: 1, sum: 36, first: 'Ada' },
    ]);
    await db.create(note, { id: '1' });
    await db.delete(note, '1');
    const count = [{ $group: { _by: 'pinned', n: { $count: true } } }] as const;
    expect(await db.aggregate(note, count)).toEqual([]);
    expect(await db.aggregate(note, count, { includeDeleted: true })).toMatchObject([{ n: 1 }]);
  });

  test('a text is found in any case of its letters, and nothing in it is a pattern', async () => {
    const names = async (query: string) => (await people.search(query, { sort: { id: 1 } })).map(({ name }) => name);
    expect(await names('A')).toEqual(['Ada']);
    expect(await names('%')).toEqual([]);
    expect(await names('.')).toEqual([]);
    const found = await db.search(person, 'éLAN', ['bio'], { select: ['name'] });
    expect(found).toEqual([{ id: '1', name: 'Ada' }]);
    expect(await db.search(person, '0%')).toMatchObject([{ id: '3' }]);
  });

  test('a repository searches strings, and texts only where there are no strings', async () => {
    await db.create(text, { id: '1', body: 'needle' });
    expect(await new BaseRepository(text, db).search('NEEDLE')).toMatchObject([{ id: '1' }]);
    expect(await people.search('Élan')).toEqual([]);
  });

  test('a group may be written as MongoDB does, and name the value that it is grouped by', async () => {
    const [row] = await people.aggregate([
      { $group: { _id: '$role', people: { $sum: 1 } } },
      { $sort: { _id: 1 } },
      { $limit: 1 },
    ]);
    expect(Object.keys(row ?? {}).sort()).toEqual(['_id', 'people']);
    const [same] = await people.aggregate([{ $group: { _by: 'role', role: 'role', people: { $count: true } } }, { $sort: { role: 1 } }] as never);
    expect(same).toEqual({ role: row?._id, people: row?.people });
  });

  test('a counter begins with what is added to it, also when several add at once', async () => {
    const counter: EntityDeclaration = { name: 'Counter', collection: 'counters', fields: { seq: { type: 'number', default: 0 } } };
    const counters = new BaseRepository<{ id: string; seq: number }>(counter, await database.connect([counter]));
    expect(await counters.increment('tickets', 'seq', 1)).toEqual({ id: 'tickets', seq: 1 });
    expect(await counters.increment('tickets', 'seq', 2)).toEqual({ id: 'tickets', seq: 3 });
    await Promise.all(Array.from({ length: 5 }, () => counters.increment('visits', 'seq', 1)));
    expect(await counters.findById('visits')).toEqual({ id: 'visits', seq: 5 });
  });

  test('values of deleted rows may be used again where a unique index is sparse', async () => {
    const account: EntityDeclaration = {
      name: 'Account',
      collection: 'accounts',
      softDelete: true,
      fields: { email: { type: 'string' } },
      indexes: [{ fields: { email: 'asc' }, unique: true, sparse: true }],
    };
    const db = await database.connect([account]);
    await db.create(account, { id: '1', email: 'a@b' });
    await expect(db.create(account, { id: '2', email: 'a@b' })).rejects.toMatchObject({ kind: 'UniqueViolation' });
    await db.delete(account, '1');
    await db.create(account, { id: '2', email: 'a@b' });
    expect(await db.count(account, {}, { includeDeleted: true })).toBe(2);
  });

  test('increments at the same time are all counted', async () => {
    await Promise.all(Array.from({ length: 20 }, () => people.increment('4', 'age', 2)));
    expect(await people.findById('4')).toMatchObject({ age: 40 });
    expect(await people.increment('4', 'age', -0.5)).toMatchObject({ id: '4', age: 39.5 });
    expect(await people.increment('none', 'age', 1)).toBeNull();
    await expect(people.increment('4', 'name', 1)).rejects.toMatchObject({ name: 'ReplicaverseError' });
  });

  test('values are added to a list once and taken out of it', async () => {
    expect(await people.addToSet('2', 'tags', 'math')).toMatchObject({ tags: ['code', 'math'] });
    expect(await people.addToSet('2', 'tags', 'math')).toMatchObject({ tags: ['code', 'math'] });
    expect(await people.addToSet('4', 'tags', { a: 1 })).toMatchObject({ tags: [{ a: 1 }] });
    expect(await people.pull('2', 'tags', 'code')).toMatchObject({ tags: ['math'] });
    expect(await people.pull('none', 'tags', 'code')).toBeNull();
    expect(await people.addToSet('none', 'tags', 'code')).toBeNull();
  });

  test('tables are emptied and dropped', async () => {
    await db.truncateTable('people');
    expect(await people.count()).toBe(0);
    await people.create({ name: 'x' });
    expect(await db.truncateAll([person, note])).toEqual(expect.arrayContaining(['people', 'notes']));
    expect(await people.count()).toBe(0);
    await db.dropTable('notes');
    await db.dropTable('never was');
    expect(await db.dropSchema([person])).toEqual(['people']);
    await db.initSchema([person, note]);
    await people.create({ name: 'again' });
    await db.dropAllTables();
    await db.initSchema([person]);
    expect(await people.count()).toBe(0);
  });

  test('a transaction has every operation', async () => {
    await db.$transaction(async (tx) => {
      const inside = new BaseRepository(person, tx);
      expect(await inside.updateMany({}, { age: 1 })).toBe(4);
      expect(await inside.increment('1', 'age', 1)).toMatchObject({ age: 2 });
      expect(await inside.distinct('age')).toEqual([1, 2]);
      expect(await inside.search('eve')).toHaveLength(1);
      expect(await inside.aggregate([{ $group: { _by: null, n: { $sum: 1 } } }])).toMatchObject([{ n: 4 }]);
      expect(await inside.deleteMany({ age: 1 })).toBe(3);
      expect(await people.count()).toBe(4);
    });
    expect(await people.count()).toBe(1);
  });

  test('wrong arguments are named', async () => {
    const wrong = (value: unknown) => value as never;
    await expect(people.distinct(wrong(5))).rejects.toMatchObject({ message: expect.stringContaining('field: expected a string') });
    await expect(people.aggregate(wrong({}))).rejects.toMatchObject({ message: 'stages: expected a list, found a object' });
    await expect(people.aggregate(wrong([{ $lookup: {} }]))).rejects.toMatchObject({ kind: 'Filter' });
    await expect(people.search(wrong(undefined))).rejects.toMatchObject({ message: expect.stringContaining('query: expected a string') });
    await expect(db.search(person, 'x', wrong('name'))).rejects.toMatchObject({ message: expect.stringContaining('fields: expected a list') });
    await expect(db.dropTable(wrong(null))).rejects.toMatchObject({ message: expect.stringContaining('collection: expected a string') });
    await expect(people.distinct('"; DROP TABLE people; --')).rejects.toMatchObject({ kind: 'Filter' });
    await expect(people.increment({ name: 'Ada' }, 'age', 1)).rejects.toMatchObject({ kind: 'Filter' });
    expect(await people.count()).toBe(4);
  });
});
