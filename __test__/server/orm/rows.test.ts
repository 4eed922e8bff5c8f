// Reading and writing rows: the same behaviour on every dialect.
import { EntityService } from 'replicaverse';
import type { EntityRecord, IDialect } from 'replicaverse';
import { ObjectId } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { note, person } from './schemas.js';

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  beforeEach(async () => {
    db = await database.connect([person, note]);
  });
  afterAll(() => database?.stop());

  test('a created row has an id, its defaults and its managed dates', async () => {
    const before = Date.now();
    const row = await db.create(person, { name: 'Ada' });
    expect(row.id).toMatch(/^[0-9a-f-]{24,36}$/);
    expect(row).toMatchObject({ name: 'Ada', active: true, role: 'user' });
    expect(row.createdAt).toBeInstanceOf(Date);
    expect((row.createdAt as Date).getTime()).toBeGreaterThanOrEqual(before - 1);
    expect(await db.findById(person, row.id)).toEqual(row);
  });

  test('a row keeps the id and the values that it was given', async () => {
    const data = {
      id: 'person-1',
      name: 'Zoë "Ω" 😀',
      email: '  ZOE@Example.org ',
      bio: 'line\nline\u2028\'; DROP TABLE people; --',
      age: 36.6,
      active: false,
      born: new Date('1815-12-10T01:02:03.456Z'),
      profile: { nested: [1, 2.5, null, { deep: 'é' }], flag: true, $$date: 5 },
      tags: ['a', 'b c', '', '"'],
      role: 'admin',
    };
    const expected = { ...data, email: 'zoe@example.org' };
    expect(await db.create(person, data)).toMatchObject(expected);
    expect(await db.findOne(person, { id: 'person-1' })).toMatchObject(expected);
  });

  test('numbers come back as the same doubles', async () => {
    const ages = [0, -1, 0.1, 1e21, 5e-324, 2 ** 53, 2.2156037317971749e-91, 1.7976931348623157e308];
    for (const [index, age] of ages.entries()) await db.create(person, { id: `${index}`, name: `n${index}`, age });
    const rows = await db.find(person, {}, { sort: { id: 1 }, select: ['age'] });
    expect(rows.map(({ age }) => age)).toEqual(ages);
  });

  describe('with five people', () => {
    beforeEach(async () => {
      const people = [
        { id: '1', name: 'Ada', age: 36, born: new Date(1000), tags: ['math', 'code'], profile: { city: 'London' } },
        { id: '2', name: 'Bob', age: 20, born: new Date(2000), email: 'bob@x.org' },
        { id: '3', name: 'Cid', age: 20, active: false },
        { id: '4', name: 'ada', tags: ['code'] },
        { id: '5', name: 'Eve', age: 50, role: 'admin' },
      ];
      for (const data of people) await db.create(person, data);
    });

    const ids = async (filter: object) => (await db.find(person, { ...filter }, { sort: { id: 1 } })).map(({ id }) => id);

    test.each<[object, string[]]>([
      [{}, ['1', '2', '3', '4', '5']],
      [{ name: 'Ada' }, ['1']],
      [{ name: undefined }, ['1', '2', '3', '4', '5']],
      [{ age: null }, ['4']],
      [{ age: { $ne: 20 } }, ['1', '4', '5']],
      [{ age: { $gt: 20, $lt: 50 } }, ['1']],
      [{ age: { $gte: 36 } }, ['1', '5']],
      [{ age: { $in: [20, 50] } }, ['2', '3', '5']],
      [{ age: { $nin: [20, 50] } }, ['1', '4']],
      [{ age: { $in: [] } }, []],
      [{ age: { $exists: false } }, ['4']],
      [{ name: /^ada$/i }, ['1', '4']],
      [{ name: { $regex: '^A' } }, ['1']],
      [{ born: new Date(2000) }, ['2']],
      [{ born: { $lt: new Date(1500) } }, ['1']],
      [{ active: false }, ['3']],
      [{ tags: 'code' }, ['1', '4']],
      [{ 'profile.city': 'London' }, ['1']],
      [{ $or: [{ id: '5' }, { $and: [{ age: 20 }, { active: false }] }] }, ['3', '5']],
      [{ id: { $in: ['1', 'none'] } }, ['1']],
    ])('the filter %o finds %j', async (filter, expected) => {
      expect(await ids(filter)).toEqual(expected);
      expect(await db.count(person, { ...filter })).toBe(expected.length);
    });

    test('rows are sorted, cut and reduced to fields as the options say', async () => {
      const sorted = await db.find(person, {}, { sort: { age: 'desc', id: -1 }, select: ['name'] });
      expect(sorted).toEqual([
        { id: '5', name: 'Eve' },
        { id: '1', name: 'Ada' },
        { id: '3', name: 'Cid' },
        { id: '2', name: 'Bob' },
        { id: '4', name: 'ada' },
      ]);
      expect((await db.find(person, {}, { sort: { id: 1 }, skip: 3 })).map(({ id }) => id)).toEqual(['4', '5']);
      expect((await db.find(person, {}, { sort: { id: 1 }, skip: 1, limit: 2 })).map(({ id }) => id)).toEqual(['2', '3']);
      expect((await db.find(person, {}, { sort: { id: 1 }, skip: 1, limit: 0 })).map(({ id }) => id)).toEqual(['2', '3', '4', '5']);
      const [first] = await db.find(person, { id: '1' }, { exclude: ['age', 'createdAt'] });
      expect(Object.keys(first!)).not.toContain('age');
      expect(first).toMatchObject({ id: '1', name: 'Ada' });
    });

    test('one row is found by its id, by {id} and by a unique index', async () => {
      expect(await db.findById(person, '2')).toMatchObject({ name: 'Bob' });
      expect(await db.findById(person, { id: '2' })).toMatchObject({ name: 'Bob' });
      expect(await db.findById(person, { email: 'bob@x.org' })).toMatchObject({ id: '2' });
      expect(await db.findById(person, { name: 'Cid', age: 20 })).toMatchObject({ id: '3' });
      expect(await db.findById(person, 'none')).toBeNull();
      expect(await db.findOne(person, { age: 99 })).toBeNull();
      await expect(db.findById(person, { age: 20 })).rejects.toMatchObject({ kind: 'Filter' });
    });

    test('an update changes what is given and nothing else', async () => {
      const before = (await db.findById(person, '1'))!;
      const after = await db.update(person, '1', { id: 'other', age: 37, bio: null });
      expect(after).toMatchObject({ id: '1', name: 'Ada', age: 37, tags: ['math', 'code'], createdAt: before.createdAt });
      expect(await db.findById(person, '1')).toEqual(after);
      expect(await db.update(person, 'none', { age: 1 })).toBeNull();
      expect(await db.count(person)).toBe(5);
    });

    test('a delete says whether there was a row', async () => {
      expect(await db.delete(person, '1')).toBe(true);
      expect(await db.delete(person, { id: '2' })).toBe(true);
      expect(await db.delete(person, '1')).toBe(false);
      expect(await ids({})).toEqual(['3', '4', '5']);
      await expect(db.delete(person, { name: 'Cid' })).rejects.toMatchObject({ kind: 'Filter' });
    });

    test('an upsert inserts with the equalities of its filter, and then changes that row', async () => {
      const inserted = await db.upsert(person, { email: 'new@x.org' }, { name: 'New' });
      expect(inserted).toMatchObject({ email: 'new@x.org', name: 'New', role: 'user' });
      const changed = await db.upsert(person, { email: 'new@x.org' }, { name: 'Newer' });
      expect(changed).toMatchObject({ id: inserted.id, name: 'Newer' });
      expect(await db.count(person)).toBe(6);
    });

    test.each<[string, object, object, string]>([
      ['a value that a unique index holds', { email: 'BOB@x.org', name: 'x' }, { kind: 'UniqueViolation' }, ''],
      ['an id that is taken', { id: '1', name: 'x' }, { kind: 'UniqueViolation' }, ''],
      ['a missing required value', { age: 1 }, { kind: 'NotNullViolation', code: 'ERR_REQUIRED' }, 'Person.name'],
      ['a value that is not allowed', { name: 'x', role: 'root' }, { kind: 'Value', code: 'ERR_VALUE' }, 'Person.role'],
      ['text in a number field', { name: 'x', age: 'old' }, { kind: 'Value' }, 'Person.age'],
    ])('%s is refused, and nothing is written', async (_, data, error, message) => {
      const failure: unknown = await db.create(person, data).catch((thrown: unknown) => thrown);
      expect(failure).toMatchObject({ name: 'ReplicaverseError', retryable: false, ...error });
      expect((failure as Error).message).toContain(message);
      expect(await db.count(person)).toBe(5);
    });

    test.each<[string, object, string]>([
      ['an unknown operator', { age: { $near: 1 } }, '$near'],
      ['a malformed expression', { name: { $regex: '(' } }, ''],
      ['an operator with a wrong operand', { age: { $in: 5 } }, '$in expects a list'],
    ])('%s in a filter is named', async (_, filter, message) => {
      const failure: unknown = await db.find(person, { ...filter }).catch((thrown: unknown) => thrown);
      expect(failure).toMatchObject({ name: 'ReplicaverseError', kind: 'Filter' });
      expect((failure as Error).message).toContain(message);
    });

    test('names and values that look like statements are only names and values', async () => {
      const evil = '"; DROP TABLE people; --';
      expect(await ids({ name: evil })).toEqual([]);
      await db.find(person, { [evil]: 1 }).catch((error: unknown) => expect(error).toMatchObject({ kind: 'Filter' }));
      await db.find(person, {}, { sort: { [evil]: 1 } }).catch((error: unknown) => expect(error).toMatchObject({ kind: 'Filter' }));
      expect(await db.count(person)).toBe(5);
    });

    test('an object id is an id by its digits', async () => {
      const id = new ObjectId();
      await db.create(person, { id, name: 'by object id' });
      expect(await db.findById(person, id)).toMatchObject({ id: id.toHexString() });
      expect(await db.findById(person, id.toHexString())).toMatchObject({ id: id.toHexString() });
      expect(await db.delete(person, id)).toBe(true);
    });
  });

  test('a soft delete hides a row, and a second one finds it again', async () => {
    await db.create(note, { id: 'n', title: 'x' });
    expect(await db.delete(note, 'n')).toBe(true);
    expect(await db.find(note)).toEqual([]);
    expect(await db.count(note)).toBe(0);
    expect(await db.count(note, {}, { includeDeleted: true })).toBe(1);
    const [hidden] = await db.find(note, {}, { includeDeleted: true });
    expect(hidden?.deletedAt).toBeInstanceOf(Date);
    expect(await db.delete(note, 'n')).toBe(true);
  });

  test('a service tells of writes that have happened', async () => {
    const service = new EntityService(db, [person, note]);
    const told: unknown[] = [];
    service.on('entity.created', (event) => told.push(event));
    service.on('entity.deleted', (event) => told.push(event));
    const row = await service.create<EntityRecord>('Note', { title: 'x' });
    await expect(service.create('Person', {})).rejects.toMatchObject({ kind: 'NotNullViolation' });
    await service.dialect.$transaction((tx) => tx.create(note, { title: 'silent' }));
    await service.delete('Note', row.id);
    expect(told).toEqual([{ entity: 'Note', data: row }, { entity: 'Note', id: row.id }]);
    expect(await service.count('Note')).toBe(1);
  });
});
