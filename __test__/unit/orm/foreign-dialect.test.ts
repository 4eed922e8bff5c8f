// Dialects of the application's own: registered, connected, completed where methods are missing, and refused by name.
import { createIsolatedDialect, EntityService, registerDialect, ReplicationManager, testConnection, unregisterDialect } from 'replicaverse';
import type { ConnectionConfig, DialectFactory, EntityDeclaration, EntitySchema, IDialect, ReplicaConfig } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const item: EntityDeclaration = { name: 'Item', fields: { name: { type: 'string' }, n: { type: 'number' }, tags: { type: 'array' } } };

type Row = { id: string; name?: string; n?: number; tags?: string[] };

/** The four methods that an object must have, over rows in memory; `_id` and `__v` as MongoDB's libraries give them. */
class Minimal {
  rows = new Map<string, Row>();
  log: string[] = [];

  async find(_schema: EntityDeclaration, filter: Record<string, never> = {}, options: { limit?: number } = {}): Promise<object[]> {
    const passes = (row: Row) => matches(row, filter);
    const found = [...this.rows.values()].filter(passes).sort((a, b) => (a.id < b.id ? -1 : 1));
    return found.slice(0, options.limit).map(({ id, ...rest }) => ({ _id: { toString: () => id }, __v: 0, ...rest }));
  }

  async create(_schema: EntityDeclaration, data: Row): Promise<object> {
    this.rows.set(data.id, { ...data });
    return { ...data };
  }

  async update(_schema: EntityDeclaration, id: string, data: object): Promise<object | null> {
    const row = this.rows.get(id);
    return row === undefined ? null : { ...Object.assign(row, data) };
  }

  async delete(_schema: EntityDeclaration, id: string): Promise<boolean> {
    return this.rows.delete(id);
  }
}

function matches(row: Record<string, unknown>, filter: Record<string, unknown>): boolean {
  return Object.entries(filter).every(([key, condition]) => {
    const parts = condition as Record<string, unknown>[];
    if (key === '$and') return parts.every((part) => matches(row, part));
    if (key === '$or') return parts.some((part) => matches(row, part));
    if (typeof condition !== 'object' || condition === null) return row[key] === condition;
    const { $gt, $regex, $regexFlags } = condition as { $gt?: string; $regex?: string; $regexFlags?: string };
    if ($gt !== undefined) return String(row[key]) > $gt;
    return new RegExp($regex ?? '', $regexFlags).test(String(row[key]));
  });
}

const config = (dialect: string): ConnectionConfig => ({ dialect, uri: 'own://somewhere' });
let object: Minimal;

function register(made: object = object): void {
  registerDialect('own', (() => made) as unknown as DialectFactory);
}

beforeEach(() => {
  object = new Minimal();
  register();
});

afterEach(() => void unregisterDialect('own'));

describe('an object with the four methods that must be there', () => {
  let dialect: IDialect;
  beforeEach(async () => {
    dialect = await createIsolatedDialect(config('own'), [item]);
    for (const [id, name, n] of [['1', 'Ann', 1], ['2', 'Bob', 2], ['3', 'anna', 2]] as const) await dialect.create(item, { id, name, n, tags: ['a'] });
  });

  test('reads rows by id and filter, with a text id', async () => {
    expect(await dialect.find(item, {}, { limit: 1 })).toEqual([{ id: '1', name: 'Ann', n: 1, tags: ['a'] }]);
    expect(await dialect.findOne(item, { n: 2 })).toMatchObject({ id: '2' });
    expect(await dialect.findById(item, '3')).toMatchObject({ name: 'anna' });
    expect(await dialect.findById(item, { id: 'none' })).toBeNull();
    expect(await dialect.count(item, { n: 2 })).toBe(2);
    expect(await dialect.distinct(item, 'n')).toEqual([1, 2]);
    expect(await dialect.distinct(item, 'tags')).toEqual(['a']);
    expect(await dialect.search(item, 'ANN')).toHaveLength(2);
    expect(await dialect.search(item, '.*')).toEqual([]);
    expect(dialect.dialectType).toBe('own');
  });

  test('writes many rows, and one that may be there', async () => {
    expect(await dialect.updateMany(item, { n: 2 }, { n: 3 })).toBe(2);
    expect(await dialect.deleteMany(item, { n: 3 })).toBe(2);
    expect(await dialect.upsert(item, { name: 'Ann' }, { n: 9 })).toMatchObject({ id: '1', n: 9 });
    expect(await dialect.upsert(item, { name: 'New' }, { n: 5 })).toMatchObject({ id: expect.any(String), name: 'New', n: 5 });
    expect(await dialect.count(item)).toBe(2);
  });

  test.each([
    ['$transaction', (on: IDialect) => on.$transaction(async () => undefined)],
    ['beginTx', (on: IDialect) => on.beginTx()],
    ['aggregate', (on: IDialect) => on.aggregate(item, [])],
    ['executeQuery', (on: IDialect) => on.executeQuery('SELECT 1')],
    ['executeRun', (on: IDialect) => on.executeRun('SELECT 1')],
    ['dropTable', (on: IDialect) => on.dropTable('items')],
    ['increment', (on: IDialect) => on.increment(item, '1', 'n', 1)],
  ])('refuses %s by name', async (method, use) => {
    await expect(use(dialect)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining(`"own" has no method ${method.replace('$', '$')}`) });
  });

  test('serves an entity service', async () => {
    const service = new EntityService(dialect, [item]);
    const told: unknown[] = [];
    service.on('entity.created', (event) => told.push(event));
    await service.create('Item', { id: '9', name: 'x' });
    expect(told).toEqual([{ entity: 'Item', data: { id: '9', name: 'x' } }]);
  });
});

test('an object with transactions is given them, and the values that need one change in it', async () => {
  const log: string[] = [];
  const transactional = Object.assign(object, {
    async $transaction(work: (tx: unknown) => Promise<unknown>, options?: object) {
      log.push(`begin ${JSON.stringify(options)}`);
      return work(object);
    },
  });
  register(transactional);
  const dialect = await createIsolatedDialect(config('own'), []);
  await dialect.create(item, { id: '1', n: 1, tags: ['a'] });
  expect(await dialect.increment(item, '1', 'n', 4)).toMatchObject({ n: 5 });
  expect(await dialect.addToSet(item, '1', 'tags', 'b')).toMatchObject({ tags: ['a', 'b'] });
  expect(await dialect.addToSet(item, '1', 'tags', 'b')).toMatchObject({ tags: ['a', 'b'] });
  expect(await dialect.pull(item, '1', 'tags', 'a')).toMatchObject({ tags: ['b'] });
  expect(await dialect.increment(item, 'none', 'n', 1)).toBeNull();
  expect(log).toContain('begin {"isolation":"SERIALIZABLE"}');
});

test('operators are made of the methods of an object that can do it, and else given as they are', async () => {
  const dialect = await createIsolatedDialect(config('own'), []);
  await dialect.create(item, { id: '1', n: 1, tags: ['a'] });
  expect(await dialect.update(item, '1', { $inc: { n: 1 } })).toMatchObject({ n: 1, $inc: { n: 1 } });
  register(
    Object.assign(new Minimal(), {
      async $transaction(this: Minimal, work: (tx: unknown) => Promise<unknown>) {
        return work({ find: this.find.bind(this), create: this.create.bind(this), update: this.update.bind(this) });
      },
    }),
  );
  const transactional = await createIsolatedDialect(config('own'), []);
  await transactional.create(item, { id: '1', n: 1, tags: ['a'] });
  const changed = await transactional.update(item, '1', { $inc: { n: 2 }, $addToSet: { tags: 'b' }, $set: { name: 'x' } });
  expect(changed).toEqual({ id: '1', n: 3, tags: ['a', 'b'], name: 'x' });
  expect(await transactional.updateMany(item, {}, { $pull: { tags: 'a' }, $inc: { n: 1 } })).toBe(1);
  expect(await transactional.findById(item, '1')).toMatchObject({ n: 4, tags: ['b'] });
});

test('an object that begins transactions has them committed, and undone when the work fails', async () => {
  const log: string[] = [];
  register(
    Object.assign(object, {
      beginTx: async () => ({ number: 1 }),
      commitTx: async ({ number }: { number: number }) => void log.push(`commit ${number}`),
      rollbackTx: async ({ number }: { number: number }) => void log.push(`rollback ${number}`),
    }),
  );
  const dialect = await createIsolatedDialect(config('own'), []);
  expect(await dialect.$transaction(async (tx) => tx.create(item, { id: '1' }))).toEqual({ id: '1' });
  const failure = new Error('from the work');
  await expect(dialect.$transaction(() => Promise.reject(failure))).rejects.toBe(failure);
  const tx = await dialect.beginTx();
  await dialect.rollbackTx(tx);
  await tx.rollback();
  await expect(tx.find(item)).rejects.toMatchObject({ code: 'ERR_TRANSACTION' });
  await expect(tx.commit()).rejects.toMatchObject({ code: 'ERR_TRANSACTION' });
  expect(log).toEqual(['commit 1', 'rollback 1', 'rollback 1']);
});

test('connecting and disconnecting reach the object, each once, with the settings and whole schemas', async () => {
  const calls: unknown[][] = [];
  const record = (name: string) => async (...args: unknown[]) => void calls.push([name, ...args]);
  register(Object.assign(object, { connect: record('connect'), initSchema: record('initSchema'), disconnect: record('disconnect') }));
  const dialect = await createIsolatedDialect(config('own'), [{ name: 'Item' }]);
  await dialect.disconnect();
  await dialect.disconnect();
  expect(calls).toEqual([
    ['connect', config('own')],
    ['initSchema', [{ name: 'Item', collection: 'item', fields: {}, relations: {}, indexes: [], timestamps: false }]],
    ['disconnect'],
  ]);
});

test('a connection that fails rejects with what the object says', async () => {
  register(Object.assign(object, { connect: async () => Promise.reject(new Error('no route')) }));
  await expect(createIsolatedDialect(config('own'), [])).rejects.toThrow('no route');
  expect(await testConnection(config('own'))).toEqual({ ok: false, error: 'no route' });
});

test('a missing method is named when it is first needed', async () => {
  register({ find: async () => [] });
  const dialect = await createIsolatedDialect(config('own'), [item]);
  expect(await dialect.find(item)).toEqual([]);
  await expect(dialect.create(item, {})).rejects.toMatchObject({ message: 'the registered dialect "own" has no method create', code: 'ERR_UNSUPPORTED' });
});

test.each(['oracle', 'mssql', 'db2', 'hana', 'hsqldb', 'spanner', 'sybase'])('%s needs one, and the error says how', async (dialect) => {
  await expect(createIsolatedDialect(config(dialect), [])).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(new RegExp(`no built-in dialect for "${dialect}".*registerDialect\\('${dialect}'`)),
  });
});

test('a dialect that is known by name can be registered', async () => {
  registerDialect('oracle', () => object);
  const dialect = await createIsolatedDialect(config('oracle'), []);
  expect(dialect.dialectType).toBe('oracle');
  expect(unregisterDialect('oracle')).toBe(true);
  expect(unregisterDialect('oracle')).toBe(false);
});

test('what is no factory, or makes no object, is refused', async () => {
  expect(() => registerDialect('', () => object)).toThrow('the name must be a text');
  expect(() => registerDialect('x', object as never)).toThrow('must be a function');
  registerDialect('own', () => null as never);
  await expect(createIsolatedDialect(config('own'), [])).rejects.toMatchObject({ message: expect.stringContaining('gave null, not an object') });
});

test('a class that types its own way can be registered, and named by a replica', async () => {
  class Typed {
    readonly dialectType = 'typed';
    async find(schema: EntitySchema, filter: Record<string, unknown>): Promise<Row[]> {
      return [{ id: '1', name: schema.name, tags: Object.keys(filter) }];
    }
    async delete(_schema: EntitySchema, id: string): Promise<boolean> {
      return id === '1';
    }
  }
  registerDialect('own', () => new Typed());
  const manager = new ReplicationManager();
  const replica: ReplicaConfig = { name: 'main', role: 'master', dialect: 'own', uri: 'own://somewhere' };
  await manager.addReplica('p', replica, [item]);
  expect(await manager.resolveReadService('p')?.findAll('Item', { n: 1 })).toEqual([{ id: '1', name: 'Item', tags: ['n'] }]);
  await manager.disconnectAll();
});
