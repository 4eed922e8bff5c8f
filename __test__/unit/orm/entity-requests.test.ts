// EntityService.execute: every operation, what each one needs, and what is answered; and the events of writes to many rows.
import { EntityService } from 'replicaverse';
import type { EntityDeclaration, EntityRecord, IDialect, OrmRequest } from 'replicaverse';
import { beforeEach, describe, expect, test, vi } from 'vitest';

const user: EntityDeclaration = { name: 'User', fields: { name: { type: 'string' } } };
const ann: EntityRecord = { id: '1', name: 'Ann' };

/** Every method answers with something that tells what it was asked. */
const dialect = {
  dialectType: 'sqlite',
  find: vi.fn(async () => [ann, { id: '2', name: 'Bob' }]),
  findOne: vi.fn(async () => ann),
  findById: vi.fn(async (_schema: unknown, id: string) => (id === '1' ? ann : null)),
  count: vi.fn(async () => 7),
  create: vi.fn(async (_schema: unknown, data: object) => ({ id: '3', ...data })),
  update: vi.fn(async (_schema: unknown, id: string, data: object) => (id === '1' ? { ...ann, ...data } : null)),
  updateMany: vi.fn(async () => 2),
  delete: vi.fn(async (_schema: unknown, id: string) => id === '1'),
  deleteMany: vi.fn(async () => 2),
  upsert: vi.fn(async (_schema: unknown, _filter: object, data: object) => ({ id: '4', ...data })),
  distinct: vi.fn(async () => ['Ann', 'Bob']),
  search: vi.fn(async () => [ann]),
  aggregate: vi.fn(async () => [{ n: 2 }]),
  increment: vi.fn(async (_schema: unknown, id: string) => (id === '1' ? { ...ann, n: 1 } : null)),
  addToSet: vi.fn(async () => ({ ...ann, tags: ['x'] })),
  pull: vi.fn(async () => ({ ...ann, tags: [] })),
  findWithRelations: vi.fn(async () => [{ ...ann, boss: { id: '2' } }]),
  findByIdWithRelations: vi.fn(async () => ({ ...ann, boss: { id: '2' } })),
  $transaction: vi.fn(),
};

let service: EntityService;
let told: unknown[][];

beforeEach(() => {
  vi.clearAllMocks();
  service = new EntityService(dialect as unknown as IDialect, [user]);
  told = [];
  for (const event of ['entity.created', 'entity.updated', 'entity.deleted', 'entity.upserted', 'entity.updatedMany', 'entity.deletedMany'] as const) {
    service.on(event, (...args: unknown[]) => told.push([event, ...args]));
  }
});

const execute = (request: object) => service.execute({ entity: 'User', ...request } as OrmRequest);

describe('reads', () => {
  test.each([
    [{ op: 'findAll', filter: {} }, [ann, { id: '2', name: 'Bob' }], { count: 2 }],
    [{ op: 'findAll', relations: ['boss'] }, [{ ...ann, boss: { id: '2' } }], { count: 1 }],
    [{ op: 'findOne' }, ann, undefined],
    [{ op: 'findOne', relations: ['boss'] }, { ...ann, boss: { id: '2' } }, undefined],
    [{ op: 'findById', id: '1' }, ann, undefined],
    [{ op: 'findById', id: '9' }, null, undefined],
    [{ op: 'findById', id: '1', relations: ['boss'] }, { ...ann, boss: { id: '2' } }, undefined],
    [{ op: 'count' }, 7, { total: 7 }],
    [{ op: 'distinct', field: 'name' }, ['Ann', 'Bob'], { count: 2 }],
    [{ op: 'search', query: 'an' }, [ann], { count: 1 }],
    [{ op: 'search', query: 'an', relations: ['boss'] }, [{ ...ann, boss: { id: '2' } }], { count: 1 }],
    [{ op: 'aggregate', stages: [] }, [{ n: 2 }], undefined],
  ])('%j', async (request, data, metadata) => {
    expect(await execute(request)).toEqual({ status: 'ok', data, ...(metadata === undefined ? {} : { metadata }) });
    expect(told).toEqual([]);
  });

  test('a search looks in the fields that the request names', async () => {
    await execute({ op: 'search', query: 'an', searchFields: ['nick'], options: { limit: 1 } });
    expect(dialect.search).toHaveBeenCalledWith(expect.anything(), 'an', ['nick'], { limit: 1 });
  });
});

describe('writes answer and are told of', () => {
  test.each([
    [{ op: 'create', data: { name: 'x' } }, { id: '3', name: 'x' }, ['entity.created']],
    [{ op: 'create', data: { name: 'x' }, relations: ['boss'] }, { ...ann, boss: { id: '2' } }, ['entity.created']],
    [{ op: 'update', id: '1', data: { name: 'x' } }, { id: '1', name: 'x' }, ['entity.updated']],
    [{ op: 'update', id: '9', data: {} }, null, []],
    [{ op: 'delete', id: '1' }, true, ['entity.deleted']],
    [{ op: 'delete', id: '9' }, false, []],
    [{ op: 'upsert', filter: {}, data: { name: 'x' } }, { id: '4', name: 'x' }, ['entity.upserted']],
    [{ op: 'increment', id: '1', field: 'n', amount: 0 }, { ...ann, n: 1 }, ['entity.updated']],
    [{ op: 'increment', id: '9', field: 'n', amount: 1 }, null, []],
    [{ op: 'addToSet', id: '1', field: 'tags', value: 'x' }, { ...ann, tags: ['x'] }, ['entity.updated']],
    [{ op: 'pull', id: '1', field: 'tags', value: 'x' }, { ...ann, tags: [] }, ['entity.updated']],
  ])('%j', async (request, data, events) => {
    expect(await execute(request)).toEqual({ status: 'ok', data });
    expect(told.map(([event]) => event)).toEqual(events);
  });

  test('updateMany says how many rows it changed, and nothing else', async () => {
    expect(await execute({ op: 'updateMany', filter: { name: 'x' }, data: { name: 'y' } })).toEqual({ status: 'ok', metadata: { count: 2 } });
  });

  test('deleteMany takes all rows without a filter', async () => {
    expect(await execute({ op: 'deleteMany' })).toEqual({ status: 'ok', data: 2, metadata: { count: 2 } });
  });
});

describe('what is missing or wrong is answered with a code', () => {
  test.each([
    [{ op: 'findAll', entity: 'Nope' }, 'ENTITY_NOT_FOUND', 'Entity "Nope" is not registered'],
    [{ op: 'findById' }, 'MISSING_ID', 'id is required for findById'],
    [{ op: 'update', data: {} }, 'MISSING_ID', 'id is required for update'],
    [{ op: 'delete', id: '' }, 'MISSING_ID', 'id is required for delete'],
    [{ op: 'create' }, 'MISSING_DATA', 'data is required for create'],
    [{ op: 'update', id: '1' }, 'MISSING_DATA', 'data is required for update'],
    [{ op: 'search' }, 'MISSING_QUERY', 'query is required for search'],
    [{ op: 'aggregate' }, 'MISSING_STAGES', 'stages is required for aggregate'],
    [{ op: 'upsert', data: {} }, 'MISSING_PARAMS', 'filter and data are required for upsert'],
    [{ op: 'updateMany', filter: {} }, 'MISSING_PARAMS', 'filter and data are required for updateMany'],
    [{ op: 'addToSet', id: '1' }, 'MISSING_PARAMS', 'id and field are required for addToSet'],
    [{ op: 'pull', field: 'tags' }, 'MISSING_PARAMS', 'id and field are required for pull'],
    [{ op: 'increment', id: '1', field: 'n' }, 'MISSING_PARAMS', 'id, field and amount are required for increment'],
    [{ op: 'distinct' }, 'MISSING_PARAMS', 'field is required for distinct'],
    [{ op: 'stream' }, 'UNKNOWN_OP', 'Unknown operation: stream'],
    [{ op: 'constructor' }, 'UNKNOWN_OP', 'Unknown operation: constructor'],
    [{}, 'UNKNOWN_OP', 'Unknown operation: undefined'],
  ])('%j', async (request, code, message) => {
    expect(await execute(request)).toEqual({ status: 'error', error: { code, message } });
    expect(told).toEqual([]);
  });

  test('no request is answered too', async () => {
    expect(await service.execute(null as never)).toMatchObject({ status: 'error', error: { code: 'ENTITY_NOT_FOUND' } });
  });

  test.each([
    [Object.assign(new Error('taken'), { code: '23505' }), '23505'],
    [Object.assign(new Error('busy'), { code: 5 }), '5'],
    [new TypeError('odd'), 'TypeError'],
    ['plain text', 'ORM_ERROR'],
  ])('what the dialect throws (%s) has its code, else its name', async (thrown, code) => {
    dialect.create.mockRejectedValueOnce(thrown);
    const message = thrown instanceof Error ? thrown.message : thrown;
    expect(await execute({ op: 'create', data: {} })).toEqual({ status: 'error', error: { code, message } });
  });
});

describe('writes to many rows', () => {
  test('tell of each row where somebody listens, and of all together', async () => {
    expect(await service.updateMany('User', { name: 'x' }, { name: 'y' })).toBe(2);
    expect(dialect.updateMany).toHaveBeenCalledWith(expect.anything(), { $and: [{ name: 'x' }, { id: { $in: ['1', '2'] } }] }, { name: 'y' });
    expect(told).toEqual([
      ['entity.updated', { entity: 'User', id: '1', data: ann }],
      ['entity.updated', { entity: 'User', id: '2', data: { id: '2', name: 'Bob' } }],
      ['entity.updatedMany', { entity: 'User', filter: { name: 'x' }, data: { name: 'y' }, count: 2 }],
    ]);
    told = [];
    expect(await service.deleteMany('User', { name: 'x' })).toBe(2);
    expect(told.map(([event]) => event)).toEqual(['entity.deleted', 'entity.deleted', 'entity.deletedMany']);
  });

  test('are one statement where nobody listens', async () => {
    service.removeAllListeners();
    await service.updateMany('User', { name: 'x' }, { name: 'y' });
    await service.deleteMany('User', { name: 'x' });
    expect(dialect.find).not.toHaveBeenCalled();
    expect(dialect.updateMany).toHaveBeenCalledWith(expect.anything(), { name: 'x' }, { name: 'y' });
    expect(dialect.deleteMany).toHaveBeenCalledWith(expect.anything(), { name: 'x' });
  });

  test('are one transaction where they are too many for one statement', async () => {
    dialect.find.mockResolvedValueOnce(Array.from({ length: 1201 }, (_, index) => ({ id: String(index), name: '' })));
    dialect.$transaction.mockImplementationOnce(async (work: (tx: unknown) => unknown) => work(dialect));
    await service.deleteMany('User', {});
    expect(dialect.$transaction).toHaveBeenCalledOnce();
    expect(dialect.deleteMany).toHaveBeenCalledTimes(3);
  });

  test('tell only of the rows that are gone', async () => {
    dialect.deleteMany.mockResolvedValueOnce(1);
    dialect.find.mockResolvedValueOnce([ann, { id: '2', name: 'Bob' }]).mockResolvedValueOnce([ann]);
    await service.deleteMany('User', {});
    expect(told[0]).toEqual(['entity.deleted', { entity: 'User', id: '2' }]);
    expect(told).toHaveLength(2);
  });
});

test('a listener whose promise rejects does not end the process', async () => {
  const failure = new Error('from the listener');
  const reported = new Promise((settle) => service.once('error', settle));
  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- a listener of an application may well do this
  service.on('entity.deleted', async () => Promise.reject(failure));
  expect(await service.delete('User', '1')).toBe(true);
  expect(await reported).toBe(failure);
});
