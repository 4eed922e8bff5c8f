// Rows that a slave had before this library fed it: nobody but the master deletes them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema, ReplicaService } from 'replicaverse';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };

let folder: string;
const managers: ReplicationManager[] = [];
beforeEach(async () => {
  clearRegistry();
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-rows-'));
});
afterEach(async () => {
  await Promise.all(managers.splice(0).map((manager) => manager.disconnectAll()));
  await rm(folder, { recursive: true });
});

const file = (name: string) => join(folder, `${name}.db`);

/** A manager with a master and a slave in files of these names. */
async function pair(slave: string): Promise<ReplicationManager> {
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  managers.push(manager);
  for (const [name, role, uri] of [['m', 'master', file('m')], ['s', 'slave', file(slave)]] as const) {
    await manager.addReplica('p', { name, role, dialect: 'sqlite', uri }, [item]);
  }
  return manager;
}

const ids = async (service: ReplicaService | null) => ((await service?.findAll('Item')) ?? []).map(({ id }) => id).sort();

async function arrives(manager: ReplicationManager, id: string): Promise<void> {
  await manager.resolveWriteService('p')?.create('Item', { id });
  await eventually(async () => (await ids(manager.resolveReadService('p'))).includes(id));
}

it('stay also in a database that is given the name of a slave of before', async () => {
  const first = await pair('first');
  await arrives(first, 'a');
  await first.disconnectAll();

  const other = new ReplicationManager();
  managers.push(other);
  await other.addReplica('x', { name: 'x', role: 'master', dialect: 'sqlite', uri: file('second') }, [item]);
  const own = other.resolveWriteService('x');
  await own?.create('Item', { id: 'own' });

  const second = await pair('second');
  const standing = async () => await second.resolveWriteService('p')?.dialect.executeQuery("SELECT standing FROM replicaverse_member WHERE replica LIKE 'p/s %'");
  // 0 is that of a slave that held rows of its own.
  await eventually(async () => expect(await standing()).toEqual([{ standing: 0 }]));
  await arrives(second, 'b');
  expect(await ids(own ?? null)).toEqual(['a', 'b', 'own']);
});
