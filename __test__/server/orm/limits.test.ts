// Values at their limits and bad input, through the surface: kept exactly, or refused by a typed error; the service stays usable.
import { AsyncResource } from 'node:async_hooks';
import { EntityService } from 'replicaverse';
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';

const thing: EntityDeclaration = {
  name: 'Thing',
  collection: 'things "q`',
  fields: {
    s: { type: 'string' },
    t: { type: 'text' },
    n: { type: 'number' },
    d: { type: 'date' },
    j: { type: 'json' },
    a: { type: 'array' },
    order: { type: 'string' },
    'sel"ect`': { type: 'string' },
    "o'k; --": { type: 'string' },
    'clé à': { type: 'string' },
    '%s$1?': { type: 'string' },
  },
  relations: { ghost: { type: 'many-to-one', target: 'Ghost' } },
  indexes: [{ fields: { order: 'asc', 'sel"ect`': 'desc' } }],
};

/** A value with so many lists and objects within each other. */
function nested(levels: number): unknown {
  return Array.from({ length: levels }).reduce<unknown>((inner, _, at) => (at % 2 === 0 ? [inner] : { k: inner }), 1);
}

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;
  let things: EntityService;
  const isSql = dialect !== 'mongodb';

  beforeAll(async () => {
    database = await startDatabase(dialect);
    db = await database.connect([thing], { pool: { min: 1, max: 2, acquireTimeoutMillis: 300 } });
    things = new EntityService(db, [thing]);
  });
  afterAll(() => database?.stop());

  async function kept(data: object): Promise<Record<string, unknown>> {
    const { id } = await things.create('Thing', data);
    return (await things.findById<Record<string, unknown>>('Thing', id)) ?? {};
  }

  test.each([
    { s: 'é😀日本\u0301\u200d', t: '\u0001\u007f\ufeff' },
    { s: '', t: '', a: [], j: {} },
    { n: 1.7976931348623157e308 },
    { n: 5e-324 },
    { d: new Date('0001-01-01T00:00:00.000Z') },
    { d: new Date(-1) },
    { d: new Date('9999-12-31T23:59:59.999Z') },
    { j: { v: 2n ** 63n - 1n, w: -(2n ** 63n), f: 1e17, g: 2 ** 60, h: 0.1 } },
    { j: nested(30) },
    { j: { $gt: 1, 'a.b': 2, '': 3, "'; DROP TABLE x; --": '"' } },
    { order: "'; DROP TABLE x; --", 'sel"ect`': '"', "o'k; --": "'", 'clé à': '\\', '%s$1?': '?' },
  ])('a row of $% is kept as it is', async (data) => {
    expect(await kept(data)).toMatchObject(data);
  });

  test('numbers, words and texts of JSON are kept whole in a json field', async () => {
    for (const j of [5, false, 'text', '5', 'null', '[1]', '']) expect(await kept({ j })).toMatchObject({ j });
    expect(await kept({ j: { at: new Date(0), gone: undefined, none: null } })).toMatchObject({
      j: { at: isSql ? '1970-01-01T00:00:00.000Z' : new Date(0), none: null },
    });
  });

  test.each([10_000, 101])('a value %d levels deep is refused, wherever it stands', async (levels) => {
    for (const data of [{ j: nested(levels) }, { a: [nested(levels)] }]) {
      await expect(things.create('Thing', data)).rejects.toMatchObject({ kind: 'Value', message: expect.stringContaining('deeper than') as string });
    }
    await expect(things.findAll('Thing', { $and: [nested(levels)] } as never)).rejects.toMatchObject({ kind: 'Filter' });
  });

  test('a text of 16 MB is kept, or refused as a value', async () => {
    const t = 'é'.repeat(8 * 1024 * 1024);
    const row = await kept({ t }).catch((error: unknown) => error);
    if (row instanceof Error) expect(row).toMatchObject({ kind: 'Value' });
    else expect((row as { t: string }).t === t).toBe(true);
    expect(dialect === 'mongodb' || dialect === 'mariadb').toBe(row instanceof Error);
  });

  test('NaN and bytes in JSON are kept or refused by their place', async () => {
    for (const [data, what] of [[{ j: { v: [NaN] } }, 'Thing.j.v[0]: JSON cannot hold NaN'], [{ a: [{ b: Buffer.from('x') }] }, 'Thing.a[0].b: JSON cannot hold bytes']] as const) {
      if (!isSql) expect(await kept(data)).toMatchObject(data);
      else await expect(things.create('Thing', data)).rejects.toMatchObject({ kind: 'Value', code: 'ERR_VALUE', message: expect.stringContaining(what) as string });
    }
    if (isSql) await expect(things.findAll('Thing', { 'j.v': NaN })).rejects.toMatchObject({ kind: 'Filter', code: 'ERR_FILTER' });
  });

  test.each([
    { nothing: 1 },
    { 'n" = 1 OR 1=1 --': 1 },
    { n: { $foo: 1 } },
    { n: { $where: '1' } },
    { $where: 'sleep(1000)' },
    { $expr: { $gt: ['$n', 1] } },
    { s: { a: 1 } },
    { s: { $in: 'abc' } },
    { $or: {} },
    { s: { $regex: '(' } },
    { d: { $gt: 'nonsense' } },
    { n: '1 OR 1=1' },
    { 'j.$where': 1 },
  ])('the filter %j is refused', async (filter) => {
    await expect(things.findAll('Thing', filter as never)).rejects.toMatchObject({ kind: 'Filter' });
    await expect(things.count('Thing', filter as never)).rejects.toMatchObject({ kind: 'Filter' });
  });

  test.each([{ sort: { 'n; DROP TABLE x': 1 } }, { sort: { n: 'up' } }, { select: ['n", 1 AS "x'] }, { limit: -1 }, { limit: '1; DROP' }, { skip: 1.5 }])(
    'the options %j are refused',
    async (options) => {
      await expect(things.findAll('Thing', {}, options as never)).rejects.toMatchObject({ kind: 'Filter' });
    },
  );

  test('operators do not come in through ids and data', async () => {
    await things.create('Thing', { id: 'kept', s: 'kept' });
    for (const id of [{ $ne: null }, { $gt: '' }] as unknown as string[]) {
      await expect(things.delete('Thing', id)).rejects.toMatchObject({ kind: 'Filter' });
      await expect(things.update('Thing', id, { s: 'gone' })).rejects.toMatchObject({ kind: 'Filter' });
      await expect(things.findById('Thing', id)).rejects.toMatchObject({ kind: 'Filter' });
    }
    await expect(things.update('Thing', 'kept', { $where: { s: 'gone' } })).rejects.toMatchObject({ kind: 'Value' });
    expect(await things.findById('Thing', 'kept')).toMatchObject({ s: 'kept' });
    expect(await things.execute({ op: 'findAll', entity: 'Thing', filter: { $where: '1' } })).toMatchObject({ status: 'error', error: { code: 'ERR_FILTER' } });
  });

  test('relations, stages and entities that do not exist are named', async () => {
    await expect(things.findWithRelations('Thing', {}, ['ghost'])).rejects.toMatchObject({ code: 'ENTITY_NOT_FOUND', message: expect.stringContaining('"Ghost"') as string });
    for (const relation of ['nope"; DROP TABLE x; --', '__proto__']) {
      await expect(things.findWithRelations('Thing', {}, [relation])).rejects.toMatchObject({ kind: 'Filter', message: expect.stringContaining('known are ghost') as string });
    }
    await expect(things.aggregate('Thing', [{ $lookup: {} }] as never)).rejects.toMatchObject({ kind: 'Filter' });
    await expect(things.aggregate('Thing', [{ $group: { _by: 'n"; DROP' } }])).rejects.toMatchObject({ kind: 'Filter' });
    await expect(things.findAll('Nope')).rejects.toThrow('Entity "Nope" is not registered. Available entities: Thing');
    await expect(things.findAll('__proto__')).rejects.toMatchObject({ code: 'ENTITY_NOT_FOUND' });
  });

  test('very many alternatives are looked for at once', async () => {
    await things.create('Thing', { id: 'one of many', n: 4711, a: ['needle'] });
    const alternatives = Array.from({ length: 5000 }, (_, n) => ({ n }));
    expect(await things.findAll('Thing', { $or: alternatives }, { select: ['id'] })).toContainEqual(expect.objectContaining({ id: 'one of many' }));
    const items = [...Array.from({ length: 500 }, (_, n) => `item ${String(n)}`), 'needle'];
    expect(await things.count('Thing', { a: { $in: items } })).toBe(1);
  });

  test('transactions that are not ended are told of, and what follows works', async () => {
    // Each in a flow of its own: in one flow, the second would be a savepoint of the first.
    const begin = () => new AsyncResource('request').runInAsyncScope(() => db.beginTx());
    const open = [await begin()];
    const next = await begin().then((tx) => open.push(tx), (error: unknown) => error);
    const third = await begin().then((tx) => open.push(tx), (error: unknown) => error);
    if (isSql) expect([next, third]).toContainEqual(expect.objectContaining({ kind: 'Timeout', code: 'ERR_TIMEOUT', retryable: true, message: expect.stringContaining('pool exhausted') as string }));
    for (const tx of open) await db.rollbackTx(tx);
    expect(await things.create('Thing', { s: 'after' })).toMatchObject({ s: 'after' });
  });
});

test('statements of the application agree on every SQL database', async () => {
  for (const dialect of ['sqlite', 'postgres', 'mariadb'] as const) {
    const database = await startDatabase(dialect);
    const db = await database.connect([]);
    const mark = dialect === 'postgres' ? '$1' : '?';
    await db.executeRun('CREATE TABLE t (n INTEGER)');
    expect(await db.executeQuery('INSERT INTO t VALUES (1), (2); SELECT n FROM t WHERE n = 2')).toEqual([{ n: 2 }]);
    expect(await db.executeRun('INSERT INTO t VALUES (3); DELETE FROM t WHERE n > 1')).toEqual({ changes: 3 });
    await expect(db.executeRun(`INSERT INTO t VALUES (${mark}); DELETE FROM t`, [4])).rejects.toMatchObject({ kind: 'Statement' });
    await expect(db.executeQuery(`SELECT ${mark} AS v`, [])).rejects.toThrow();
    expect(await db.executeQuery('SELECT n FROM t')).toEqual([{ n: 1 }]);
    await database.stop();
  }
});
