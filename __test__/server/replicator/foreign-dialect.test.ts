// Syncs with a dialect of the application's own as either end.
import { CDCListener, createIsolatedDialect, EntityService, registerDialect, SyncEngine, unregisterDialect } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { person } from '../orm/schemas.js';
import { memory } from '../../unit/replicator/memory-service.js';
import { Services } from './services.js';

const rule = { name: 'r', collections: ['Person'] };
const engine = new SyncEngine({ batchSize: 2 });

let services: Services;
let native: EntityService;
let own: EntityService;

beforeAll(async () => {
  services = await Services.start();
});

beforeEach(async () => {
  const object = memory([person]).service.dialect;
  registerDialect('own', (() => object));
  own = new EntityService(await createIsolatedDialect({ dialect: 'own', uri: 'own://here' }, [person]), [person]);
  native = await services.open('sqlite', [person]);
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await native.create('Person', { name, email: `${name}@x.org`, born: new Date(5), profile: { deep: [1] }, tags: ['t'] });
  }
});

afterAll(async () => {
  unregisterDialect('own');
  await services?.stop();
});

const all = async (service: EntityService) => (await service.findAll('Person', {}, { sort: { id: 1 } })).map((row) => present(row));

/** Objects of applications may leave out what databases give as null. */
function present(row: object): object {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

test('a snapshot goes there and back without changing anything', async () => {
  expect(await engine.snapshot(native, own, rule)).toMatchObject({ recordsSynced: 5, errors: 0 });
  expect(await all(own)).toEqual(await all(native));
  expect(await engine.snapshot(native, own, rule)).toMatchObject({ recordsSynced: 0 });
  expect(await engine.snapshot(own, native, rule)).toMatchObject({ recordsSynced: 0, errors: 0 });
});

test('changes travel both ways', async () => {
  const { newCursor } = await engine.incremental(native, own, rule);
  const [row] = await native.findAll('Person');
  await own.update('Person', row!.id, { bio: 'from its own side', updatedAt: new Date(Date.now() + 60_000) });
  expect(await engine.incremental(own, native, rule, newCursor)).toMatchObject({ stats: { recordsSynced: 1, errors: 0 } });
  expect(await native.findById('Person', row!.id)).toMatchObject({ bio: 'from its own side' });
  expect(await engine.bidirectional(native, own, rule)).toMatchObject({ recordsSynced: 0, errors: 0 });
});

test('a listener carries its writes', async () => {
  const listener = new CDCListener(own, native, { flushIntervalMs: 0 });
  listener.start();
  await own.create('Person', { id: 'new', name: 'new', email: 'new@x.org' });
  await own.updateMany('Person', { name: 'new' }, { age: 3 });
  expect(await listener.stop()).toMatchObject({ created: 1, errors: 0 });
  expect(await native.findById('Person', 'new')).toMatchObject({ age: 3 });
});
