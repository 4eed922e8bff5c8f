// A network partition: who is cut off from the majority takes no writes, and follows the others when it is back.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema } from 'replicaverse';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Proxy, eventually, startPostgres } from '../../support/index.mjs';
import type { PostgresPrimary } from '../../support/postgres.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };
const LONG = { deadlineMs: 40_000 };

let primary: PostgresPrimary;
let proxies: Proxy[];
let majority: ReplicationManager;
let minority: ReplicationManager;
beforeEach(async () => {
  primary = await startPostgres({ standbys: 2 });
  proxies = [await Proxy.start(primary.port)];
  const [toMaster] = proxies as [Proxy];
  for (const standby of primary.standbys) {
    proxies.push(await Proxy.start(standby.port));
    const conninfo = `host=127.0.0.1 port=${toMaster.port} user=postgres password=${primary.password} application_name=${standby.name}`;
    await standby.psql(`ALTER SYSTEM SET primary_conninfo = '${conninfo}'`, 'postgres');
    await standby.psql('SELECT pg_reload_conf()', 'postgres');
  }
  majority = new ReplicationManager(undefined, { lagIntervalMs: 100 });
  minority = new ReplicationManager(undefined, { lagIntervalMs: 100 });
  // One process stands beside the standbys, the other beside the master.
  await addAll(majority, toMaster.through(primary.uri), primary.standbys.map(({ uri }) => uri));
  await addAll(minority, primary.uri, primary.standbys.map(({ uri }, at) => proxies[at + 1]?.through(uri) ?? uri));
  for (const standby of primary.standbys) await standby.waitUntilCaughtUp();
  // Who has never seen the standbys as such does not know later that one was promoted.
  const hasLooked = (manager: ReplicationManager) =>
    manager.getReplicaStatus('p').every(({ role, lagBytes }) => role === 'master' || lagBytes !== undefined);
  await eventually(() => hasLooked(majority) && hasLooked(minority));
});
afterEach(async () => {
  await Promise.all([majority.disconnectAll(), minority.disconnectAll()]);
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await primary.remove();
});

async function addAll(manager: ReplicationManager, master: string, standbys: string[]): Promise<void> {
  await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: master, feed: 'native' }, [item]);
  for (const [at, uri] of standbys.entries()) {
    await manager.addReplica('p', { name: `standby_${at + 1}`, role: 'slave', dialect: 'postgres', uri, schemaStrategy: 'none' }, [item]);
  }
  manager.setAutoFailover('p', { after: 2000 });
}

const masterOf = (manager: ReplicationManager): string | undefined => manager.getReplicaStatus('p').find(({ role }) => role === 'master')?.name;

it('leaves one master: the minority refuses writes before the majority has another master, and follows it afterwards', async () => {
  const [cutOff, promoted]: { at: number }[] = [{ at: 0 }, { at: 0 }];
  minority.on('quorum', ({ hasMajority }) => { if (!hasMajority && cutOff) cutOff.at = performance.now(); });
  majority.on('failover', () => { if (promoted) promoted.at = performance.now(); });
  await minority.resolveWriteService('p')?.create('Item', { id: 'before' });
  for (const standby of primary.standbys) await standby.waitUntilCaughtUp();
  const accepted: number[] = [];
  let isWriting = true;
  const writing = (async () => {
    for (let number = 0; isWriting; number += 1) {
      const taken = await minority.resolveWriteService('p')?.create('Item', { id: `minority-${number}` }).then(() => true, () => false);
      if (taken === true) accepted.push(performance.now());
      await new Promise((resume) => { setTimeout(resume, 5); });
    }
  })();
  for (const proxy of proxies) proxy.cut();
  await eventually(() => masterOf(majority)?.startsWith('standby_') === true, LONG);
  await eventually(() => (promoted?.at ?? 0) > 0);
  await majority.resolveWriteService('p')?.create('Item', { id: 'majority' });
  isWriting = false;
  await writing;
  expect(cutOff?.at).toBeGreaterThan(0);
  expect(Math.max(0, ...accepted)).toBeLessThan(promoted?.at ?? 0);
  await expect(minority.resolveWriteService('p')?.create('Item', { id: 'refused' })).rejects.toMatchObject({ kind: 'ReadOnly' });
  for (const proxy of proxies) proxy.heal();
  await eventually(() => masterOf(minority) === masterOf(majority), LONG);
  await eventually(async () => await minority.resolveWriteService('p')?.create('Item', { id: 'together' }).then(() => true, () => false), LONG);
  expect(await majority.resolveWriteService('p')?.findById('Item', 'together')).not.toBeNull();
});

it('of the way to the master alone is no reason for a failover while the standbys receive from it', async () => {
  const [toMaster] = proxies as [Proxy];
  // The standbys take their own way, by the socket.
  for (const standby of primary.standbys) {
    await standby.psql('ALTER SYSTEM RESET primary_conninfo', 'postgres');
    const conninfo = `host=${primary.socketDir} port=${primary.port} user=postgres application_name=${standby.name}`;
    await standby.psql(`ALTER SYSTEM SET primary_conninfo = '${conninfo}'`, 'postgres');
    await standby.psql('SELECT pg_reload_conf()', 'postgres');
    await standby.waitUntilCaughtUp();
  }
  const refusals: string[] = [];
  majority.on('failover.refused', ({ reason }) => refusals.push(reason));
  toMaster.cut();
  await eventually(() => refusals.length > 0, LONG);
  expect(refusals[0]).toContain('still receives from it');
  expect([masterOf(majority), masterOf(minority)]).toEqual(['m', 'm']);
});
