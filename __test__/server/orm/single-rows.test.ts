// Single rows that are written and read at the same time: each as if it were alone.
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { person } from './schemas.js';

const COUNT = 200;

function ids(prefix: string): string[] {
  return Array.from({ length: COUNT }, (_, number) => `${prefix}${number}`);
}

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
    db = await database.connect([person]);
  });
  afterAll(() => database?.stop());

  test('rows that are created at the same time are all there, each with what it was given', async () => {
    const created = await Promise.all(ids('a').map((id, at) => db.create(person, { id, name: `Zoë ${at}`, age: at, born: new Date(at) })));
    expect(created.map(({ id, name, age, born }) => [id, name, age, born])).toEqual(
      ids('a').map((id, at) => [id, `Zoë ${at}`, at, new Date(at)]),
    );
    expect(await Promise.all(ids('a').map((id) => db.findById(person, id)))).toEqual(created);
  });

  test('a row that cannot be created is refused by itself', async () => {
    const taken = new Set(['b7', 'b70', 'b170']);
    for (const id of taken) await db.create(person, { id, name: `first ${id}` });
    const outcomes = await Promise.allSettled(ids('b').map((id, age) => db.create(person, { id, name: 'second', age })));
    const refused = ids('b').filter((_, at) => outcomes[at]?.status === 'rejected');
    expect(new Set(refused)).toEqual(taken);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ kind: 'UniqueViolation' });
    }
    expect(await db.count(person, { name: 'second' })).toBe(COUNT - taken.size);
  });

  test('rows that are not there, and ids that are none, are found out one by one', async () => {
    await db.create(person, { id: 'c', name: 'there' });
    const wanted = ['c', 'gone', { id: 'c' }, { born: 5 }, 'c'] as never[];
    const outcomes = await Promise.allSettled(wanted.map((id) => db.findById(person, id)));
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value?.name : (outcome.reason as { kind: string }).kind))).toEqual([
      'there',
      undefined,
      'there',
      'Filter',
      'there',
    ]);
  });

  test('an error is told with the place that awaits it', async () => {
    async function whoAsks(): Promise<void> {
      await db.create(person, { id: 'c', name: 'again' });
    }
    await expect(whoAsks()).rejects.toMatchObject({ stack: expect.stringContaining('whoAsks') as string });
  });
});

describe('on sqlite', () => {
  let database: Database;

  beforeAll(async () => {
    database = await startDatabase('sqlite');
  });
  afterAll(() => database?.stop());

  const author: EntityDeclaration = { name: 'Author', collection: 'authors', fields: { name: { type: 'string' } } };
  const book: EntityDeclaration = {
    name: 'Book',
    collection: 'books',
    fields: { title: { type: 'string' } },
    relations: { author: { type: 'many-to-one', target: 'Author', required: true } },
  };

  test('a row that was created before it was looked for is found, also if nobody has awaited it', async () => {
    const db = await database.connect([author]);
    expect(await db.count(author)).toBe(0);
    const creating = db.create(author, { id: '1', name: 'Ada' });
    expect(await db.findById(author, '1')).toMatchObject({ name: 'Ada' });
    const second = db.create(author, { id: '2', name: 'Ben' });
    expect(await db.count(author)).toBe(2);
    await Promise.all([creating, second]);
  });

  test('a row can refer to one that was created before in the same turn', async () => {
    const db = await database.connect([author, book]);
    expect([await db.count(author), await db.count(book)]).toEqual([0, 0]);
    const [, first, , second] = await Promise.all([
      db.create(author, { id: '1', name: 'Ada' }),
      db.create(book, { id: 'a', title: 'Notes', author: '1' }),
      db.create(author, { id: '2', name: 'Ben' }),
      db.create(book, { id: 'b', title: 'More', author: '2' }),
    ]);
    expect([first, second]).toMatchObject([{ author: '1' }, { author: '2' }]);
    const orphans = Array.from({ length: 3 }, (_, at) => db.create(book, { title: 'None', author: at === 1 ? '1' : 'nobody' }));
    expect((await Promise.allSettled(orphans)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
  });

  test('a trigger that rolls back takes no row with it but its own', async () => {
    const db = await database.connect([author], { tablePrefix: 'rolled_' });
    await db.executeRun(
      `CREATE TRIGGER no_zoe BEFORE INSERT ON rolled_authors WHEN NEW.name = 'Zoë' BEGIN SELECT RAISE(ROLLBACK, 'no Zoë'); END`,
    );
    const outcomes = await Promise.allSettled(ids('x').map((id, at) => db.create(author, { id, name: at === 30 ? 'Zoë' : 'Ada' })));
    expect(outcomes.flatMap(({ status }, at) => (status === 'rejected' ? [at] : []))).toEqual([30]);
    expect(await db.count(author)).toBe(COUNT - 1);
  });

  test('a row that refers to one that comes later is refused, also if the reference is checked at the end', async () => {
    const setUp = await database.connect([]);
    await setUp.executeRun(
      'CREATE TABLE late_nodes (id TEXT PRIMARY KEY, above TEXT REFERENCES late_nodes(id) DEFERRABLE INITIALLY DEFERRED)',
    );
    const node: EntityDeclaration = { name: 'LateNode', collection: 'late_nodes', fields: { above: { type: 'string' } } };
    const db = await database.connect([node], { tablePrefix: '' });
    let refused = 0;
    let created = 0;
    // Where another connection is in the way, rows are created one by one in any order, and the later one may be the first.
    for (let round = 0; round < 1000 && refused < 2; round += 1) {
      const outcomes = await Promise.allSettled([
        db.create(node, { id: `${round} 1` }),
        db.create(node, { id: `${round} 2`, above: `${round} 3` }),
        db.create(node, { id: `${round} 3` }),
        db.create(node, { id: `${round} 4`, above: `${round} 4` }),
      ]);
      const [first, early, ...others] = outcomes.map(({ status }) => status);
      expect([first, ...others]).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      if (early === 'rejected') refused += 1;
      created += early === 'rejected' ? 3 : 4;
    }
    expect(refused).toBe(2);
    expect(await db.count(node)).toBe(created);
  });

  test('rows wait for a transaction that writes, and are created after it', async () => {
    const db = await database.connect([author], { tablePrefix: 'waiting_' });
    const other = await database.connect([author], { tablePrefix: 'waiting_' });
    const tx = await other.beginTx();
    await tx.create(author, { id: 'first', name: 'Ada' });
    const creating = Promise.all(ids('w').map((id) => db.create(author, { id, name: 'Ben' })));
    expect(await db.findById(author, 'first')).toBeNull();
    await tx.commit();
    expect(await creating).toHaveLength(COUNT);
    expect(await db.count(author)).toBe(COUNT + 1);
  });

  test('rows larger than the others go with them', async () => {
    const db = await database.connect([author], { tablePrefix: 'large_' });
    const sizes = [10, 20_000, 100_000, 5, 3_000_000, 15_000];
    const created = await Promise.all(sizes.map((size, at) => db.create(author, { id: String(at), name: 'é'.repeat(size) })));
    expect(created.map(({ name }) => (name as string).length)).toEqual(sizes);
    const found = await Promise.all(sizes.map((_, at) => db.findById(author, String(at))));
    expect(found).toEqual(created);
  });

  test('what was asked for before the connection is closed is done', async () => {
    const config = { tablePrefix: 'closing_' };
    const db = await database.connect([author], config);
    expect(await db.count(author)).toBe(0);
    const creating = Promise.all(ids('z').map((id) => db.create(author, { id, name: 'Zoë' })));
    await db.disconnect();
    await creating;
    const again = await database.connect([author], config);
    expect(await again.count(author)).toBe(COUNT);
    await expect(db.findById(author, 'z1')).rejects.toMatchObject({ kind: 'Closed' });
  });
});
