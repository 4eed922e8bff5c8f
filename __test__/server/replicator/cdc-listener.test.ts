// CDCListener between real databases.
import { CDCListener } from 'replicaverse';
import type { EntityService } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { note, person } from '../orm/schemas.js';
import { PAIRS, Services } from './services.js';

let services: Services;
beforeAll(async () => {
  services = await Services.start();
});
afterAll(() => services?.stop());

const all = (service: EntityService) => service.findAll('Person', {}, { sort: { name: 1 } });

describe.each(PAIRS)('from %s to %s', (from, to) => {
  test('every write of the service arrives, with ids and dates', async () => {
    const [source, target] = await Promise.all([services.open(from, [person, note]), services.open(to, [person, note])]);
    const listener = new CDCListener(source, target, { flushIntervalMs: 0, flushThreshold: 4 });
    listener.start();
    const rows = [];
    for (let index = 0; index < 10; index++) rows.push(await source.create('Person', { name: `p${index}`, born: new Date(index), tags: ['x'] }));
    await source.update('Person', rows[1]!.id, { tags: ['y'], profile: { a: 1 } });
    await source.updateMany('Person', { name: { $in: ['p2', 'p3'] } }, { age: 5 });
    await source.deleteMany('Person', { name: { $in: ['p4', 'p5'] } });
    await source.upsert('Person', { name: 'p6' }, { age: 6 });
    await source.delete('Person', rows[7]!.id);
    const written = await source.create('Note', { title: 't' });
    // The flush that the threshold started may still be under way.
    await vi.waitFor(async () => {
      await listener.flush();
      expect(await target.count('Note')).toBe(1);
    }, 10_000);
    await source.delete('Note', written.id);
    expect(await listener.stop()).toMatchObject({ errors: 0 });
    expect(await all(target)).toEqual(await all(source));
    expect(await target.count('Person')).toBe(7);
    expect(await target.count('Note')).toBe(0);
    expect(await target.count('Note', {}, { includeDeleted: true })).toBe(1);
  });
});
