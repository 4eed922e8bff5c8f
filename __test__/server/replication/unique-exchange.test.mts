// Rows that have exchanged values of a unique index: no order of writing lets them pass one by one, and they arrive all the same.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, ReplicationMode } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const seat: EntitySchema = {
  name: 'Seat',
  collection: 'seats',
  fields: { place: { type: 'string', unique: true }, guest: { type: 'string' } },
  relations: {},
  indexes: [],
  timestamps: true,
};

const CASES: [ReplicationMode, Dialect, Dialect][] = [
  ['snapshot', 'sqlite', 'postgres'],
  ['snapshot', 'postgres', 'mongodb'],
  ['snapshot', 'mongodb', 'mariadb'],
  ['bidirectional', 'postgres', 'sqlite'],
  ['bidirectional', 'sqlite', 'mongodb'],
  ['cdc', 'postgres', 'mongodb'],
  ['cdc', 'sqlite', 'mongodb'],
  ['cdc', 'mongodb', 'postgres'],
];

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
});
afterEach(() => manager.disconnectAll());

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

async function seated(mode: ReplicationMode, source: Dialect, target: Dialect): Promise<void> {
  for (const [project, dialect] of [['a', source], ['b', target]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, [seat]);
  }
  manager.addReplicationRule({ name: 'r', source: 'a', target: 'b', mode, collections: ['Seat'] });
  for (const id of ['1', '2', '3', '4', '5']) await service('a').create('Seat', { id, place: `p${id}`, guest: `guest ${id}` });
  await manager.sync('r');
}

/** Seats guests at other places, in one transaction. */
async function move(places: Readonly<Record<string, string>>): Promise<void> {
  const { dialect } = service('a');
  await dialect.$transaction(async (tx) => {
    for (const id of Object.keys(places)) await tx.update(seat, id, { place: `on the way ${id}` });
    for (const [id, place] of Object.entries(places)) await tx.update(seat, id, { place });
  });
}

async function placesAt(project: string): Promise<Record<string, string>> {
  const rows = await service(project).findAll<{ id: string; place: string }>('Seat', {}, { sort: { id: 1 } });
  return Object.fromEntries(rows.map(({ id, place }) => [id, place]));
}

describe.each(CASES)('a rule of mode %s from %s to %s', (mode, source, target) => {
  it('carries two that exchange their places, and three of which each takes that of the next', async () => {
    await seated(mode, source, target);
    await move({ 1: 'p2', 2: 'p1', 3: 'p4', 4: 'p5', 5: 'p3' });
    expect(await manager.sync('r')).toMatchObject({ errors: 0 });
    expect(await placesAt('b')).toEqual({ 1: 'p2', 2: 'p1', 3: 'p4', 4: 'p5', 5: 'p3' });
    const { details } = await manager.sync('r');
    expect(details.filter(({ created, updated, errors }) => created + updated + errors > 0)).toEqual([]);
  });
});

describe.each(['postgres', 'mongodb'] as const)('at %s', (target) => {
  it('a place that another row holds for good keeps only those away that need it', async () => {
    await seated('bidirectional', 'sqlite', target);
    await service('b').create('Seat', { id: '6', place: 'p6', guest: 'stays' });
    await move({ 1: 'p6', 2: 'p1', 3: 'p4', 4: 'p3' });
    await manager.sync('r');
    expect(await placesAt('b')).toEqual({ 1: 'p1', 2: 'p2', 3: 'p4', 4: 'p3', 5: 'p5', 6: 'p6' });
    const [first] = await service('b').findAll('Seat', { id: '1' });
    expect(first).toMatchObject({ guest: 'guest 1' });
  });
});
