// EntityService and BaseRepository over any object that has the methods of a dialect.
import { BaseRepository, clearRegistry, EntityService, registerSchema } from 'replicaverse';
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const user: EntityDeclaration = { name: 'User', collection: 'users' };

/** Rows in memory, just enough to see what a service does. */
function memoryDialect() {
  const rows = new Map<string, { id: string }>();
  const dialect = {
    find: async () => [...rows.values()],
    findOne: async () => [...rows.values()][0] ?? null,
    findById: async (_schema: unknown, id: string) => rows.get(id) ?? null,
    count: async () => rows.size,
    create: async (_schema: unknown, data: { id: string }) => {
      if (rows.has(data.id)) throw new Error('duplicate');
      rows.set(data.id, data);
      return data;
    },
    update: async (_schema: unknown, id: string, data: object) => {
      const row = rows.get(id);
      return row === undefined ? null : Object.assign(row, data);
    },
    delete: async (_schema: unknown, id: string) => rows.delete(id),
    upsert: async (_schema: unknown, filter: { id: string }, data: object) => {
      const row = { ...rows.get(filter.id), ...data, id: filter.id };
      rows.set(row.id, row);
      return row;
    },
  };
  return dialect as unknown as IDialect;
}

let service: EntityService;
let told: unknown[][];

beforeEach(() => {
  service = new EntityService(memoryDialect(), [user]);
  told = [];
  for (const event of ['entity.created', 'entity.updated', 'entity.deleted', 'entity.upserted'] as const) {
    service.on(event, (...args: unknown[]) => told.push([event, ...args]));
  }
});

afterEach(() => {
  clearRegistry();
  vi.restoreAllMocks();
});

test('each successful write is told by an event', async () => {
  await service.create('User', { id: '1', name: 'a' });
  await service.update('User', '1', { name: 'b' });
  await service.upsert('User', { id: '1' }, { name: 'c' });
  await service.delete('User', '1');
  expect(told).toEqual([
    ['entity.created', { entity: 'User', data: expect.objectContaining({ id: '1' }) }],
    ['entity.updated', { entity: 'User', id: '1', data: expect.objectContaining({ name: 'b' }) }],
    ['entity.upserted', { entity: 'User', data: { id: '1', name: 'c' } }],
    ['entity.deleted', { entity: 'User', id: '1' }],
  ]);
});

test('a write that fails or finds no row makes no event', async () => {
  await service.create('User', { id: '1' });
  told = [];
  await expect(service.create('User', { id: '1' })).rejects.toThrow('duplicate');
  expect(await service.update('User', 'none', { a: 1 })).toBeNull();
  expect(await service.delete('User', 'none')).toBe(false);
  expect(told).toEqual([]);
});

test('a listener that throws changes nothing for the writer and for the other listeners', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const failure = new Error('from the listener');
  service.prependOnceListener('entity.created', () => {
    throw failure;
  });
  expect(await service.create('User', { id: '1' })).toEqual({ id: '1' });
  expect(told).toHaveLength(1);
  expect(warned).toHaveBeenCalledExactlyOnceWith(failure);
  await service.create('User', { id: '2' });
  expect(warned).toHaveBeenCalledOnce();
});

test('what a listener throws reaches the listeners of error', async () => {
  const errors: unknown[] = [];
  service.on('error', (error) => errors.push(error));
  service.on('entity.deleted', () => {
    throw new Error('from the listener');
  });
  await service.create('User', { id: '1' });
  expect(await service.delete('User', '1')).toBe(true);
  expect(errors).toEqual([expect.objectContaining({ message: 'from the listener' })]);
});

test('an unknown entity is an error that names the known ones', async () => {
  const expected = { message: 'Entity "Nope" is not registered. Available entities: User', code: 'ENTITY_NOT_FOUND' };
  await expect(service.findAll('Nope')).rejects.toMatchObject(expected);
  await expect(service.create('Nope', {})).rejects.toMatchObject(expected);
  expect(() => service.getRepo('Nope')).toThrow(expect.objectContaining(expected));
  expect(service.hasEntity('Nope')).toBe(false);
  expect(service.getEntityNames()).toEqual(['User']);
});

test('without schemas of its own a service knows what is registered, also later', () => {
  const live = new EntityService(service.dialect);
  expect(live.hasEntity('Late')).toBe(false);
  registerSchema({ name: 'Late' });
  expect(live.hasEntity('Late')).toBe(true);
});

test('a repository reads and writes one entity without events', async () => {
  const repository = service.getRepo<{ id: string; name?: string }>('User');
  expect(repository).toBeInstanceOf(BaseRepository);
  await repository.create({ id: '1' });
  await repository.update('1', { name: 'x' });
  expect(await repository.findById('1')).toEqual({ id: '1', name: 'x' });
  expect(await repository.findAll()).toHaveLength(1);
  expect(await repository.count()).toBe(1);
  expect(await repository.findOne({ name: 'x' })).toMatchObject({ id: '1' });
  expect(await repository.upsert({ id: '2' }, { name: 'y' })).toEqual({ id: '2', name: 'y' });
  expect(await repository.delete('1')).toBe(true);
  expect(told).toEqual([]);
});

test.each([
  [null, 'found null'],
  [undefined, 'found undefined'],
  [Promise.resolve(memoryDialect()), 'is an await missing?'],
])('without a dialect there is no service: %s', (dialect, message) => {
  expect(() => new EntityService(dialect as unknown as IDialect, [user])).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining(message) }));
});
