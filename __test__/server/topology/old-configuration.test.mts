// Processes that hold different replicas for the master, because one of them was started with an old configuration.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema } from 'replicaverse';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: {}, relations: {}, indexes: [], timestamps: false };

let folder: string;
const managers: ReplicationManager[] = [];
beforeEach(async () => {
  clearRegistry();
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-terms-'));
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.disconnectAll()));
  await rm(folder, { recursive: true });
});

/** A process with a master and a slave by its configuration, which replaces dead masters. */
async function start(): Promise<ReplicationManager> {
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  managers.push(manager);
  for (const [name, role] of [['a', 'master'], ['b', 'slave']] as const) {
    await manager.addReplica('p', { name, role, dialect: 'sqlite', uri: join(folder, `${name}.db`) }, [item]);
  }
  manager.setAutoFailover('p', { after: 1000 });
  return manager;
}

const masterOf = (manager: ReplicationManager) => manager.getReplicaStatus('p').find(({ role }) => role === 'master')?.name;
const write = async (manager: ReplicationManager, id: string) => await manager.resolveWriteService('p')?.create('Item', { id });

it('follow the one that was promoted last, and none of them takes a write at the master of before', async () => {
  const [running, promoting] = [await start(), await start()];
  await write(promoting, 'before');
  await promoting.promoteToMaster('p', 'b');
  await eventually(() => masterOf(running) === 'b');

  const late = await start();
  await expect(write(late, 'too early')).rejects.toMatchObject({ kind: 'ReadOnly' });
  await eventually(() => masterOf(late) === 'b');
  const written = managers.map((manager, number) => eventually(async () => await write(manager, `row-${number}`).then(() => true, () => false)));
  await Promise.all(written);
  expect(masterOf(promoting)).toBe('b');
  const ids = async () => ((await late.resolveWriteService('p')?.findAll('Item')) ?? []).map(({ id }) => id).sort();
  expect(await ids()).toEqual(['before', 'row-0', 'row-1', 'row-2']);
});
