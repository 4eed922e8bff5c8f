// SyncEngine over services in memory: what it writes, what it leaves alone, and what it makes of failures.
import { SyncEngine } from 'replicaverse';
import type { EntityDeclaration, EntityRecord } from 'replicaverse';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { memory } from './memory-service.js';
import type { Memory } from './memory-service.js';

const user: EntityDeclaration = { name: 'User', timestamps: true, fields: { name: { type: 'string' }, age: { type: 'number' } } };
const note: EntityDeclaration = { name: 'Note', timestamps: true, softDelete: true, fields: { text: { type: 'string' } } };
const rule = { name: 'r', collections: ['User'] };
const at = (seconds: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, seconds));

let source: Memory;
let target: Memory;
const engine = new SyncEngine({ batchSize: 3 });

beforeEach(() => {
  source = memory([user, note]);
  target = memory([user, note]);
});

const row = (id: string, rest: object = {}): EntityRecord => ({ id, name: id, createdAt: at(0), updatedAt: at(1), ...rest });

describe('a snapshot', () => {
  test('creates, updates and deletes until the target is a mirror, and a second one changes nothing', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) source.put('User', row(id));
    target.put('User', row('b', { name: 'old' }));
    target.put('User', row('z'));
    const stats = await engine.snapshot(source.service, target.service, rule);
    expect(stats).toMatchObject({ ruleName: 'r', recordsSynced: 6, errors: 0, lastSync: expect.any(Date) });
    expect(stats.details).toMatchObject([{ collection: 'User', created: 4, updated: 1, deleted: 1, skipped: 0, errors: 0 }]);
    expect(target.rows('User')).toEqual(source.rows('User'));
    const writes = target.writes;
    expect(await engine.snapshot(source.service, target.service, rule)).toMatchObject({ recordsSynced: 0, details: [{ skipped: 5 }] });
    expect(target.writes).toBe(writes);
  });

  test('keeps ids and dates, and empties a field that the source has not', async () => {
    source.put('User', row('a', { updatedAt: at(9) }));
    target.put('User', row('a', { age: 5 }));
    await engine.snapshot(source.service, target.service, rule);
    expect(target.rows('User')).toEqual([row('a', { updatedAt: at(9), age: null })]);
  });

  test('never holds more than a batch', async () => {
    for (let index = 0; index < 50; index++) source.put('User', row(String(index).padStart(3, '0')));
    await engine.snapshot(source.service, target.service, rule);
    expect(target.rows('User')).toHaveLength(50);
    expect(Math.max(source.largestRead, target.largestRead)).toBe(3);
  });

  test.each([
    ['source-wins', 'source', 'source'],
    ['target-wins', 'target', 'target'],
    ['timestamp', 'source', 'target'],
  ] as const)('under %s the later row of the %s stays, and the earlier one of it does not matter', async (conflictResolution, one, two) => {
    source.put('User', row('1', { name: 'source', updatedAt: at(5) }));
    target.put('User', row('1', { name: 'target', updatedAt: at(4) }));
    source.put('User', row('2', { name: 'source', updatedAt: at(4) }));
    target.put('User', row('2', { name: 'target', updatedAt: at(5) }));
    await engine.snapshot(source.service, target.service, { ...rule, conflictResolution });
    expect(target.rows('User').map(({ name }) => name)).toEqual([one, two]);
  });

  test('a row that is refused is counted and named, and the others arrive', async () => {
    for (const id of ['a', 'b', 'c']) source.put('User', row(id));
    target.beforeWrite = (_operation, _entity, id) => {
      if (id === 'b') throw new Error('no b');
    };
    const stats = await engine.snapshot(source.service, target.service, rule);
    expect(stats).toMatchObject({ recordsSynced: 2, errors: 1 });
    expect(stats.details[0]).toMatchObject({ created: 2, errors: 1, failures: [{ key: 'b', reason: 'no b' }] });
  });

  test('rows that refer to later ones arrive', async () => {
    for (const id of ['a', 'b', 'c', 'd']) source.put('User', row(id));
    const order = ['d', 'c', 'b', 'a'];
    target.beforeWrite = (_operation, _entity, id) => {
      const before = order[order.indexOf(id) - 1];
      if (before !== undefined && !target.rows('User').some((present) => present.id === before)) throw new Error('dangling');
    };
    expect(await engine.snapshot(source.service, target.service, rule)).toMatchObject({ recordsSynced: 4, errors: 0 });
  });

  test('entities come after those that they refer to, and are deleted before them', async () => {
    const author: EntityDeclaration = { name: 'Author' };
    const book: EntityDeclaration = { name: 'Book', relations: { author: { type: 'many-to-one', target: 'Author' } } };
    [source, target] = [memory([author, book]), memory([author, book])];
    for (const entity of ['Author', 'Book']) {
      source.put(entity, { id: '1' });
      target.put(entity, { id: '2' });
    }
    const order: string[] = [];
    target.beforeWrite = (operation, entity) => void order.push(`${operation} ${entity}`);
    await engine.snapshot(source.service, target.service, { name: 'r', collections: ['Book', 'Author'] });
    expect(order).toEqual(['create Author', 'create Book', 'delete Book', 'delete Author']);
  });

  test('an entity that cannot be read is an error, deletes nothing, and the next one is copied', async () => {
    target.put('User', row('a'));
    source.put('Note', row('n'));
    vi.spyOn(source.service, 'findAll').mockImplementationOnce(async () => Promise.reject(new Error('gone')));
    const stats = await engine.snapshot(source.service, target.service, { name: 'r', collections: ['User', 'Note'] });
    expect(stats.details).toMatchObject([{ collection: 'User', errors: 1, failures: [{ key: '', reason: 'gone' }] }, { collection: 'Note', created: 1 }]);
    expect(target.rows('User')).toHaveLength(1);
  });

  test('a row that was softly deleted at the target comes back, and one that is at the source goes', async () => {
    source.put('Note', row('a'));
    source.put('Note', row('b', { deletedAt: at(3) }));
    target.put('Note', row('a', { deletedAt: at(0) }));
    target.put('Note', row('b'));
    const stats = await engine.snapshot(source.service, target.service, { name: 'r', collections: ['Note'] });
    expect(stats.details).toMatchObject([{ updated: 1, deleted: 1, created: 0 }]);
    expect(target.rows('Note').map(({ deletedAt }) => deletedAt == null)).toEqual([true, false]);
  });

  test("'*' is every entity of the source", async () => {
    source.put('User', row('a'));
    source.put('Note', row('b'));
    const stats = await engine.snapshot(source.service, target.service, { name: 'r', collections: ['*'] });
    expect(stats.details.map(({ collection }) => collection)).toEqual(['User', 'Note']);
  });

  test('an unknown entity is an error that names the known ones', async () => {
    const stats = await engine.snapshot(source.service, target.service, { name: 'r', collections: ['Nope'] });
    expect(stats.details[0]?.failures[0]?.reason).toContain('Available entities: User, Note');
  });

  test('a value that the target holds in another form is reported by field', async () => {
    source.put('User', row('a', { age: 1.5 }));
    const create = target.service.create.bind(target.service);
    vi.spyOn(target.service, 'create').mockImplementation(async (entity, data) => create(entity, { ...data, age: 1 }));
    const stats = await engine.snapshot(source.service, target.service, rule);
    expect(stats.details[0]?.conversions).toMatchObject([{ field: 'age', rows: 1 }]);
  });

  test('a service that does not page by id is an error, and not an endless loop', async () => {
    for (const id of ['a', 'b', 'c', 'd']) source.put('User', row(id));
    vi.spyOn(source.service, 'findAll').mockImplementation(async () => ['d', 'd', 'd'].map((id) => row(id)));
    const stats = await engine.snapshot(source.service, target.service, rule);
    expect(stats.details[0]?.failures[0]?.reason).toContain('does not filter by {id: {$gt}}');
  });
});

describe('an incremental sync', () => {
  test('copies everything first, then what has changed since its cursor', async () => {
    source.put('User', row('a', { updatedAt: null }));
    source.put('User', row('b'));
    const first = await engine.incremental(source.service, target.service, rule);
    expect(first.stats).toMatchObject({ recordsSynced: 2 });
    expect(first.newCursor).toEqual({ ruleName: 'r', cursors: { User: at(1) } });
    source.put('User', row('b', { name: 'new', updatedAt: at(20) }));
    source.put('User', row('c', { updatedAt: at(21) }));
    const second = await engine.incremental(source.service, target.service, rule, first.newCursor);
    expect(second.stats.details).toMatchObject([{ created: 1, updated: 1, deleted: 0 }]);
    expect(second.newCursor.cursors).toEqual({ User: at(21) });
    expect(target.rows('User').map(({ name }) => name)).toEqual(['a', 'new', 'c']);
  });

  test('a row that was committed late, with a date before the cursor, is found within the overlap', async () => {
    const cursor = { ruleName: 'r', cursors: { User: at(10).toISOString() } };
    source.put('User', row('late', { updatedAt: at(6) }));
    source.put('User', row('old', { updatedAt: at(1) }));
    await engine.incremental(source.service, target.service, rule, cursor);
    expect(target.rows('User').map(({ id }) => id)).toEqual(['late']);
  });

  test('a row that changes while others are read comes next time', async () => {
    for (const id of ['a', 'b', 'c', 'd']) source.put('User', row(id));
    // The clock of whoever wrote this row is ahead.
    source.put('User', row('e', { updatedAt: new Date(Date.now() + 60_000) }));
    target.beforeWrite = (_operation, _entity, id) => {
      if (id === 'd') source.put('User', row('a', { name: 'changed', updatedAt: new Date() }));
    };
    const { newCursor } = await engine.incremental(source.service, target.service, rule);
    await new SyncEngine({ overlapMs: 0 }).incremental(source.service, target.service, rule, newCursor);
    expect(target.rows('User').map(({ name }) => name)).toEqual(['changed', 'b', 'c', 'd', 'e']);
  });

  test('the cursor stays before a row that failed, which is tried again', async () => {
    for (const [id, seconds] of [['a', 10], ['b', 20], ['c', 30]] as const) source.put('User', row(id, { updatedAt: at(seconds) }));
    target.beforeWrite = (_operation, _entity, id) => {
      if (id === 'b') throw new Error('not now');
    };
    const first = await engine.incremental(source.service, target.service, rule);
    expect(first).toMatchObject({ stats: { errors: 1, recordsSynced: 2 }, newCursor: { cursors: { User: at(20) } } });
    target.beforeWrite = () => undefined;
    const second = await engine.incremental(source.service, target.service, rule, first.newCursor);
    expect(second).toMatchObject({ stats: { errors: 0, recordsSynced: 1 }, newCursor: { cursors: { User: at(30) } } });
  });

  test('soft deletions travel', async () => {
    source.put('Note', row('a'));
    const notes = { name: 'r', collections: ['Note'] };
    const { newCursor } = await engine.incremental(source.service, target.service, notes);
    await source.service.delete('Note', 'a');
    const { stats } = await engine.incremental(source.service, target.service, notes, newCursor);
    expect(stats.details).toMatchObject([{ deleted: 1 }]);
    expect(target.rows('Note')[0]?.deletedAt).toBeInstanceOf(Date);
  });

  test('an entity without updatedAt is an error that says what to do', async () => {
    const plain = memory([{ name: 'Plain' }]);
    const outcome = await engine.incremental(plain.service, memory([{ name: 'Plain' }]).service, { name: 'r', collections: ['Plain'] });
    expect(outcome.stats.details[0]?.failures[0]?.reason).toContain('timestamps: true');
    expect(outcome.newCursor.cursors).toEqual({});
  });
});

describe('a sync in both directions', () => {
  const sync = (one: Memory, other: Memory, collections = ['User']) => engine.bidirectional(one.service, other.service, { name: 'r', collections });

  test('makes both sides equal by the newer rows, counts the conflicts, and then changes nothing', async () => {
    source.put('User', row('a', { name: 'newer', updatedAt: at(9) }));
    target.put('User', row('a'));
    source.put('User', row('b'));
    target.put('User', row('b', { name: 'newer', updatedAt: at(9) }));
    source.put('User', row('c'));
    target.put('User', row('d'));
    const stats = await sync(source, target);
    expect(stats.details).toMatchObject([{ created: 2, updated: 2, deleted: 0, conflicts: 2, errors: 0 }]);
    expect(stats.details[0]?.conflictList).toMatchObject([
      { key: 'a', winner: 'source', fields: ['name'] },
      { key: 'b', winner: 'target', fields: ['name'] },
    ]);
    expect(source.rows('User')).toEqual(target.rows('User'));
    const writes = source.writes + target.writes;
    expect(await sync(source, target)).toMatchObject({ recordsSynced: 0, details: [{ conflicts: 0 }] });
    expect(source.writes + target.writes).toBe(writes);
  });

  test('rows of one age are decided the same way whichever side is the source', async () => {
    const outcomes = [];
    for (const swapped of [false, true]) {
      const [one, other] = [memory([user]), memory([user])];
      one.put('User', row('a', { name: 'x' }));
      other.put('User', row('a', { name: 'y' }));
      await (swapped ? sync(other, one) : sync(one, other));
      outcomes.push(one.rows('User')[0]?.name, other.rows('User')[0]?.name);
    }
    expect(new Set(outcomes).size).toBe(1);
  });

  test('a soft deletion that is newer wins, and an older one is taken back', async () => {
    source.put('Note', row('a', { deletedAt: at(9) }));
    target.put('Note', row('a', { updatedAt: at(5) }));
    source.put('Note', row('b', { deletedAt: at(3) }));
    target.put('Note', row('b', { updatedAt: at(5) }));
    await sync(source, target, ['Note']);
    for (const side of [source, target]) expect(side.rows('Note').map(({ deletedAt }) => deletedAt == null)).toEqual([false, true]);
    expect(await sync(source, target, ['Note'])).toMatchObject({ recordsSynced: 0, details: [{ conflicts: 0, deleted: 0 }] });
  });
});

test('what makes no sense is refused', async () => {
  expect(() => new SyncEngine({ batchSize: 0 })).toThrow('batchSize');
  expect(() => new SyncEngine({ overlapMs: -1 })).toThrow('overlapMs');
  await expect(engine.incremental(source.service, target.service, rule, { cursors: { User: 'soon' } })).rejects.toThrow('no date');
});

test('links of relations need a service that can read them', async () => {
  const tagged: EntityDeclaration = { name: 'Post', relations: { tags: { type: 'many-to-many', target: 'Tag', through: 'post_tags' } } };
  const [one, other] = [memory([tagged]), memory([tagged])];
  one.put('Post', { id: '1' });
  vi.spyOn(one.service, 'getRepo').mockReturnValue({ schema: tagged } as never);
  const stats = await engine.snapshotWithRelations(one.service, other.service, { name: 'r', collections: ['Post'] }, [tagged]);
  expect(stats.details[0]?.failures[0]?.reason).toContain('cannot read relations');
});

describe('arguments', () => {
  test('a rule of a manager can be given as it is', async () => {
    source.put('User', row('a'));
    const whole = { source: 's', target: 't', mode: 'snapshot', conflictResolution: 'source-wins', enabled: true, ...rule } as const;
    expect(await engine.snapshot(source.service, target.service, { ...whole, name: 'x', collections: ['User'], capture: 'poll' })).toMatchObject({ recordsSynced: 1 });
  });

  test.each(['snapshot', 'incremental', 'bidirectional', 'snapshotWithRelations'] as const)('what %s lacks is named', async (method) => {
    const run = (...args: unknown[]) => (engine[method] as (...given: unknown[]) => Promise<unknown>).apply(engine, [...args, []]);
    await expect(run(null, target.service, rule)).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('source: expected') });
    await expect(run(source.service, {}, rule)).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('target: expected') });
    await expect(run(source.service, target.service, undefined)).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('rule.collections') });
    await expect(run(source.service, target.service, { name: 'r', collections: 'User' })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });
});
