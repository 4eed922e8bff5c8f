// Long lists, which reach JavaScript in several batches: the same rows as one by one, on every dialect.
import type { IDialect } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { person } from './schemas.js';

const COUNT = 3000;

/** Every field is missing in some rows, and what a field holds changes on the way. */
function data(number: number): Record<string, unknown> {
  const name = ['Ada', 'Zoë "q" \\ \n', 'Łódź', '東京 😀'][Math.floor(number / 700)] ?? 'Eve';
  return {
    id: `p${String(number).padStart(5, '0')}`,
    name: `${name} ${number}`,
    ...(number % 7 === 0 ? {} : { bio: 'x'.repeat(number % 120) }),
    ...(number % 5 === 0 ? {} : { age: number % 2 === 0 ? number / 7 : -number }),
    ...(number % 3 === 0 ? {} : { born: new Date((number - 1000) * 8_640_000_000) }),
    ...(number % 4 === 0 ? {} : { profile: profile(number), tags: [String(number), 'é'] }),
  };
}

function profile(number: number): unknown {
  if (number < 1500) return { city: 'Oran', n: number, deep: [{ flag: true }, null, 0.5] };
  return [{ $$date: number, $$x: { $$number: 'NaN' } }, 'text "\u0001', { '\u{1f418}': [] }, number][number % 4];
}

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
    db = await database.connect([person]);
    await db.$transaction(async (tx) => {
      for (let number = 0; number < COUNT; number += 1) await tx.create(person, data(number));
    });
  }, 120_000);
  afterAll(() => database?.stop());

  test('every row of a long list has its values, in the order that was asked for', async () => {
    const rows = await db.find(person, {}, { sort: { id: 1 } });
    expect(rows).toHaveLength(COUNT);
    for (const [number, row] of rows.entries()) expect(row).toMatchObject(data(number));
  });

  test('a row of a long list is the row that its id finds', async () => {
    const rows = await db.find(person, { id: { $gte: 'p00100' } }, { sort: { id: -1 } });
    expect(rows).toHaveLength(COUNT - 100);
    for (let at = 0; at < rows.length; at += 331) expect(rows[at]).toStrictEqual(await db.findById(person, rows[at]?.id ?? ''));
  });

  test('a long list is also read within a transaction, which goes on afterwards', async () => {
    await db.$transaction(async (tx) => {
      await tx.update(person, 'p00007', { name: 'changed' });
      const rows = await tx.find(person, {}, { sort: { id: 1 }, select: ['name'] });
      expect(rows).toHaveLength(COUNT);
      expect(rows[7]).toEqual({ id: 'p00007', name: 'changed' });
      await tx.update(person, 'p00007', { name: data(7).name });
    });
    expect(await db.findById(person, 'p00007')).toMatchObject({ name: data(7).name });
  });

  test('several long lists are read at once', async () => {
    const lists = await Promise.all([0, 1, 2].map((skip) => db.find(person, {}, { sort: { id: 1 }, skip })));
    for (const [skip, rows] of lists.entries()) expect(rows.map(({ id }) => id)).toEqual(idsFrom(skip));
  });
});

function idsFrom(first: number): unknown[] {
  return Array.from({ length: COUNT - first }, (_, at) => data(first + at).id);
}
