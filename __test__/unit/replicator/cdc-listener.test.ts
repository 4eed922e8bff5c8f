// CDCListener over services in memory: one pending event per row, nothing lost, nothing twice.
import { CDCListener } from 'replicaverse';
import type { CDCListenerConfig, CDCStats, EntityDeclaration, EntityRecord } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { memory } from './memory-service.js';
import type { Memory } from './memory-service.js';

const user: EntityDeclaration = { name: 'User', timestamps: true, fields: { name: { type: 'string' } } };
const note: EntityDeclaration = { name: 'Note', fields: { text: { type: 'string' } } };
const ZEROS = { flushed: 0, created: 0, updated: 0, deleted: 0, errors: 0, duration: 0 };
const at = (seconds: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, seconds));

let source: Memory;
let target: Memory;
let listener: CDCListener;

function listen(config: CDCListenerConfig = {}): CDCListener {
  listener = new CDCListener(source.service, target.service, { flushIntervalMs: 0, ...config });
  listener.start();
  return listener;
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const create = (id: string, rest: object = {}) => source.service.create('User', { id, name: id, ...rest });

beforeEach(() => {
  source = memory([user, note]);
  target = memory([user, note]);
});

afterEach(async () => {
  await listener.stop();
  vi.restoreAllMocks();
});

describe('pending events', () => {
  test('writes are applied in their order, and counted', async () => {
    source.put('User', { id: 'old' });
    target.put('User', { id: 'old' });
    listen();
    await create('a');
    await source.service.update('User', 'old', { name: 'new' });
    expect(listener.pendingCount).toBe(2);
    expect(await listener.flush()).toMatchObject({ flushed: 2, created: 1, updated: 1, deleted: 0, errors: 0 });
    await source.service.delete('User', 'a');
    expect(await listener.flush()).toMatchObject({ flushed: 1, deleted: 1 });
    expect(target.rows('User')).toEqual([{ id: 'old', name: 'new' }]);
    expect(listener.stats).toMatchObject({ flushed: 3, created: 1, updated: 1, deleted: 1, errors: 0 });
    expect(await listener.flush()).toEqual(ZEROS);
  });

  test('a row that is created and changed is created once, as it is last', async () => {
    listen();
    await create('a');
    await source.service.update('User', 'a', { name: 'b' });
    await source.service.update('User', 'a', { name: 'c' });
    expect(listener.pendingCount).toBe(1);
    expect(await listener.flush()).toMatchObject({ flushed: 1, created: 1, updated: 0 });
    expect(target.rows('User')).toMatchObject([{ id: 'a', name: 'c' }]);
  });

  test('a row that is created and deleted is nothing', async () => {
    listen();
    await create('a');
    await source.service.delete('User', 'a');
    expect(listener.pendingCount).toBe(0);
    expect(target.writes).toBe(0);
  });

  test('a row that is deleted and created again is changed, and deleted again is deleted', async () => {
    source.put('User', { id: 'a', name: 'x' });
    target.put('User', { id: 'a', name: 'x' });
    listen();
    await source.service.delete('User', 'a');
    await create('a', { name: 'again' });
    expect(await listener.flush()).toMatchObject({ updated: 1, created: 0, deleted: 0 });
    await source.service.delete('User', 'a');
    await create('a');
    await source.service.delete('User', 'a');
    expect(await listener.flush()).toMatchObject({ deleted: 1 });
    expect(target.rows('User')).toEqual([]);
  });

  test('a row that was given to the target before it was deleted is deleted there', async () => {
    listen();
    await create('a');
    await listener.flush();
    await source.service.delete('User', 'a');
    await listener.flush();
    expect(target.rows('User')).toEqual([]);
  });

  test('what is written before others that refer to it comes first, and is deleted after them', async () => {
    const order: string[] = [];
    target.beforeWrite = (operation, _entity, id) => void order.push(`${operation} ${id}`);
    listen();
    await create('parent');
    await create('child');
    await source.service.update('User', 'parent', { name: 'changed' });
    await listener.flush();
    await source.service.update('User', 'parent', { name: 'again' });
    await source.service.delete('User', 'child');
    await source.service.delete('User', 'parent');
    await listener.flush();
    expect(order).toEqual(['create parent', 'create child', 'delete child', 'delete parent']);
  });

  test('only the named entities are captured', async () => {
    listen({ collections: ['Note'] });
    await create('a');
    await source.service.create('Note', { id: 'n' });
    expect(await listener.flush()).toMatchObject({ created: 1 });
    expect(target.rows('User')).toEqual([]);
  });

  test('an upsert is captured', async () => {
    listen();
    source.service.emit('entity.upserted', { entity: 'User', data: { id: 'a', name: 'x' } });
    await listener.flush();
    expect(target.rows('User')).toEqual([{ id: 'a', name: 'x' }]);
  });

  test('an event without an id is an error, and not an event', () => {
    const onError = vi.fn();
    listen({ onError });
    source.service.emit('entity.created', { entity: 'User', data: {} as EntityRecord });
    expect(listener.pendingCount).toBe(0);
    expect(onError).toHaveBeenCalledOnce();
    expect(listener.stats.errors).toBe(1);
  });
});

describe('failures', () => {
  const failFor = (...ids: string[]) => {
    target.beforeWrite = (_operation, _entity, id) => {
      if (ids.includes(id)) throw new Error(`not ${id}`);
    };
  };

  test('a failed event is kept, told of, and tried again', async () => {
    const onError = vi.fn();
    listen({ onError });
    failFor('b');
    for (const id of ['a', 'b', 'c']) await create(id);
    expect(await listener.flush()).toMatchObject({ flushed: 2, created: 2, errors: 1 });
    expect(onError).toHaveBeenCalledExactlyOnceWith(new Error('not b'), expect.objectContaining({ op: 'create', collection: 'User', id: 'b' }));
    expect(listener.pendingCount).toBe(1);
    failFor();
    expect(await listener.flush()).toMatchObject({ flushed: 1, created: 1, errors: 0 });
    expect(target.rows('User')).toHaveLength(3);
    expect(listener.stats).toMatchObject({ flushed: 3, errors: 1 });
  });

  test('a row that failed and then changes is written as it is last', async () => {
    listen();
    failFor('a');
    await create('a');
    await listener.flush();
    await source.service.update('User', 'a', { name: 'later' });
    failFor();
    expect(await listener.flush()).toMatchObject({ flushed: 1 });
    expect(target.rows('User')).toMatchObject([{ name: 'later' }]);
  });

  test('a row whose creation failed half way is deleted all the same', async () => {
    listen();
    vi.spyOn(target.service, 'create').mockImplementationOnce(async (_entity, data) => {
      target.put('User', data as EntityRecord);
      throw new Error('the answer was lost');
    });
    await create('a');
    await listener.flush();
    await source.service.delete('User', 'a');
    await listener.flush();
    expect(target.rows('User')).toEqual([]);
  });

  test('callbacks that throw do not end a flush', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const failure = new Error('from the callback');
    const refuse = () => {
      throw failure;
    };
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- a callback of an application may well be async
    listen({ onError: refuse, onFlush: async () => Promise.reject(failure) });
    failFor('a');
    await create('a');
    await create('b');
    expect(await listener.flush()).toMatchObject({ flushed: 1, errors: 1 });
    await soon(() => expect(warned.mock.calls).toEqual([[failure], [failure]]));
    failFor();
    expect(await listener.stop()).toMatchObject({ flushed: 2 });
    await soon(() => expect(warned).toHaveBeenCalledTimes(3));
  });
});

describe('flushes', () => {
  /** Writes to the target wait until they are let through. */
  function gate(): () => void {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((settle) => (open = settle));
    target.beforeWrite = () => opened;
    return open;
  }

  test('while one is under way another does nothing, and what comes meanwhile is kept', async () => {
    listen();
    const open = gate();
    await create('a');
    const first = listener.flush();
    expect(await listener.flush()).toEqual(ZEROS);
    await source.service.update('User', 'a', { name: 'meanwhile' });
    await create('b');
    open();
    expect(await first).toMatchObject({ flushed: 1, created: 1 });
    expect(listener.pendingCount).toBe(2);
    await listener.flush();
    expect(target.rows('User')).toMatchObject([{ id: 'a', name: 'meanwhile' }, { id: 'b' }]);
  });

  test('enough waiting events start one', async () => {
    const onFlush = vi.fn<(stats: CDCStats) => void>();
    listen({ flushThreshold: 3, onFlush });
    await create('a');
    await create('b');
    expect(onFlush).not.toHaveBeenCalled();
    await create('c');
    await soon(() => expect(target.rows('User')).toHaveLength(3));
    await soon(() => expect(onFlush).toHaveBeenCalled());
    expect(onFlush).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ flushed: 3 }));
  });

  test('events that fail do not start one again and again', async () => {
    let tries = 0;
    target.beforeWrite = () => {
      tries += 1;
      throw new Error('down');
    };
    const onFlush = vi.fn();
    listen({ flushThreshold: 2, onFlush });
    await create('a');
    await create('b');
    await soon(() => expect(onFlush).toHaveBeenCalled());
    expect(onFlush).toHaveBeenCalledOnce();
    expect(tries).toBe(2);
    expect(listener.pendingCount).toBe(2);
  });

  test('time starts one', async () => {
    listen({ flushIntervalMs: 5 });
    await create('a');
    await soon(() => expect(target.rows('User')).toHaveLength(1));
  });

  test('stop waits for the one under way, flushes what is left, and gives the totals', async () => {
    listen();
    const open = gate();
    await create('a');
    void listener.flush();
    await create('b');
    const stopped = listener.stop();
    expect(listener.isRunning).toBe(false);
    open();
    expect(await stopped).toMatchObject({ flushed: 2, created: 2 });
    await create('c');
    expect(listener.pendingCount).toBe(0);
    expect(await listener.stop()).toMatchObject({ flushed: 2 });
  });

  test('after a stop it starts again with what had failed', async () => {
    target.beforeWrite = () => {
      throw new Error('down');
    };
    listen();
    listener.start();
    await create('a');
    expect(await listener.stop()).toMatchObject({ errors: 1, flushed: 0 });
    expect(listener.pendingCount).toBe(1);
    target.beforeWrite = () => undefined;
    listener.start();
    expect(await listener.flush()).toMatchObject({ created: 1 });
  });
});

describe('conflicts', () => {
  const conflict = async (conflictResolution: CDCListenerConfig['conflictResolution'], ofSource: Date, ofTarget: Date) => {
    target.put('User', { id: 'a', name: 'target', updatedAt: ofTarget });
    listen({ conflictResolution });
    await create('a', { name: 'source', updatedAt: ofSource });
    await listener.flush();
    return target.rows('User')[0]?.name;
  };

  test('source-wins overwrites', async () => expect(await conflict('source-wins', at(1), at(2))).toBe('source'));
  test('target-wins leaves the row', async () => expect(await conflict('target-wins', at(2), at(1))).toBe('target'));
  test('timestamp keeps the later row of the target', async () => expect(await conflict('timestamp', at(1), at(2))).toBe('target'));
  test('timestamp takes the later row of the source', async () => expect(await conflict('timestamp', at(2), at(1))).toBe('source'));

  test('under timestamp a row that the target changed after its deletion stays', async () => {
    source.put('User', { id: 'a' });
    target.put('User', { id: 'a', updatedAt: new Date(Date.now() + 60_000) });
    listen({ conflictResolution: 'timestamp' });
    await source.service.delete('User', 'a');
    expect(await listener.flush()).toMatchObject({ flushed: 1, deleted: 0 });
    expect(target.rows('User')).toHaveLength(1);
  });

  test('two listeners in opposite directions come to rest', async () => {
    listen();
    const back = new CDCListener(target.service, source.service, { flushIntervalMs: 0 });
    back.start();
    await create('a', { updatedAt: at(1) });
    for (let round = 0; round < 3; round++) {
      await listener.flush();
      await back.flush();
    }
    expect(listener.pendingCount + back.pendingCount).toBe(0);
    await back.stop();
  });
});

test.each([
  [{ flushThreshold: 0 }, 'flushThreshold'],
  [{ flushIntervalMs: -1 }, 'flushIntervalMs'],
  [{ conflictResolution: 'mine' }, 'unknown value "mine"'],
])('%j is refused', (config, message) => {
  expect(() => listen(config as CDCListenerConfig)).toThrow(message);
});
