// A rule whose source is a MariaDB server that dies goes on at the replica that takes its place, by the numbers of transactions.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema } from 'replicaverse';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually, startMariadb } from '../../support/index.mjs';
import type { MariadbNode } from '../../support/mariadb.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };
const TABLE = 'CREATE TABLE items (id VARCHAR(20) PRIMARY KEY, name VARCHAR(50));';

let folder: string;
let servers: MariadbNode[];
let manager: ReplicationManager;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-failover-'));
  // Servers that have nothing to do with each other often have the same number.
  servers = await Promise.all([1, 2, 1].map((id) => startMariadb({ settings: { 'server-id': id } })));
});
afterEach(async () => {
  await manager.disconnectAll();
  await Promise.all(servers.map((server) => server.remove()));
  await rm(folder, { recursive: true });
});

function server(position: number): MariadbNode {
  const found = servers[position];
  if (found === undefined) throw new Error('there is no such server');
  return found;
}

/** As a process that was started with this server as the source. */
async function open(source: MariadbNode): Promise<void> {
  manager = new ReplicationManager();
  await manager.addReplica('from', { name: 'm', role: 'master', dialect: 'mariadb', uri: source.uri, schemaStrategy: 'none' }, [item]);
  await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'sqlite', uri: join(folder, 'target.db') }, [item]);
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', collections: ['items'] });
}

/** What a run has created, updated and deleted. */
async function sync(): Promise<(number | undefined)[]> {
  const [{ created, updated, deleted } = {} as Record<string, undefined>] = (await manager.sync('r')).details;
  return [created, updated, deleted];
}

const ids = async (): Promise<string[]> => ((await manager.resolveWriteService('to')?.findAll<{ id: string }>('Item')) ?? []).map(({ id }) => id).sort();

async function replicate(primary: MariadbNode, replica: MariadbNode): Promise<void> {
  const { hostname, port, password } = new URL(primary.uri);
  await replica.sql(
    `CHANGE MASTER TO MASTER_HOST = '${hostname}', MASTER_PORT = ${port}, MASTER_USER = 'root', MASTER_PASSWORD = '${decodeURIComponent(password)}',` +
      ' MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1; START SLAVE',
  );
}

const position = async (of: MariadbNode): Promise<string> => await of.sql('SELECT @@gtid_binlog_pos');

/** The source dies, and its replica becomes the primary. */
async function failOver(primary: MariadbNode, replica: MariadbNode): Promise<void> {
  const last = await position(primary);
  await eventually(async () => (await position(replica)) === last);
  await primary.stop();
  await replica.sql('STOP SLAVE; RESET SLAVE ALL');
}

it('tells what was changed since at the new primary, also what was deleted, there and back', async () => {
  const [first, second] = [server(0), server(1)];
  await replicate(first, second);
  await first.sql(`${TABLE} INSERT INTO items VALUES ('a', 'one'), ('b', 'two'), ('c', 'three')`);
  await open(first);
  expect(await sync()).toEqual([3, 0, 0]);
  await manager.disconnectAll();
  await failOver(first, second);

  await second.sql("DELETE FROM items WHERE id = 'a'; UPDATE items SET name = 'more' WHERE id = 'b'; INSERT INTO items VALUES ('d', 'four')");
  await open(second);
  expect(await sync()).toEqual([1, 1, 1]);
  expect(await ids()).toEqual(['b', 'c', 'd']);
  // What was begun long before it was committed has another moment in the logs of replicas.
  await second.sql("START TRANSACTION; INSERT INTO items VALUES ('e', 'five'); DO SLEEP(2); INSERT INTO items VALUES ('f', 'six'); COMMIT");
  expect(await sync()).toEqual([2, 0, 0]);
  await manager.disconnectAll();

  await first.start();
  await first.sql('SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos');
  await replicate(second, first);
  await failOver(second, first);
  await first.sql("DELETE FROM items WHERE id IN ('b', 'c')");
  await open(first);
  expect(await sync()).toEqual([0, 0, 2]);
  expect(await ids()).toEqual(['d', 'e', 'f']);
});

it('is synchronised from the beginning where the other server is none that has replicated from the first', async () => {
  const [first, other] = [server(0), server(2)];
  await first.sql(`${TABLE} INSERT INTO items VALUES ('a', 'one')`);
  await other.sql(`${TABLE} INSERT INTO items VALUES ('x', 'one'); INSERT INTO items VALUES ('y', 'two')`);
  await open(first);
  expect(await sync()).toEqual([1, 0, 0]);
  await manager.disconnectAll();
  await open(other);
  expect(await sync()).toEqual([2, 0, 0]);
  expect(await ids()).toEqual(['a', 'x', 'y']);
});

it('is synchronised from the beginning where the new primary lacks what was read of the old one', async () => {
  const [first, second] = [server(0), server(1)];
  await replicate(first, second);
  await first.sql(`${TABLE} INSERT INTO items VALUES ('a', 'one')`);
  const last = await position(first);
  await eventually(async () => (await position(second)) === last);
  await second.sql('STOP SLAVE; RESET SLAVE ALL');
  await first.sql("INSERT INTO items VALUES ('lost', 'two')");
  await open(first);
  expect(await sync()).toEqual([2, 0, 0]);
  await manager.disconnectAll();
  // The new primary gives the same number to another transaction.
  await second.sql("INSERT INTO items VALUES ('b', 'two'); INSERT INTO items VALUES ('c', 'three')");
  await open(second);
  expect(await sync()).toEqual([2, 0, 0]);
  expect(await ids()).toEqual(['a', 'b', 'c', 'lost']);
});
