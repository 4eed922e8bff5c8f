// Promotion and failover on real primaries with streaming standbys.
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, startPostgres } from '../../support/index.mjs';
import type { PostgresPrimary } from '../../support/postgres.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };

let primary: PostgresPrimary;
let manager: ReplicationManager;
beforeEach(async () => {
  clearRegistry();
  primary = await startPostgres({ standbys: 2 });
  manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: primary.uri }, [item]);
  for (const standby of primary.standbys) {
    await standby.waitUntilCaughtUp();
    await manager.addReplica('p', { name: standby.name, role: 'slave', dialect: 'postgres', uri: standby.uri, schemaStrategy: 'none', lagTolerance: 0 }, [item]);
  }
});
afterEach(async () => {
  await manager.disconnectAll();
  await primary.remove();
});

const roles = (): Record<string, string> => Object.fromEntries(manager.getReplicaStatus('p').map(({ name, role }) => [name, role]));
const isCaughtUp = (name: string): Promise<unknown> => eventually(() => manager.getReplicaStatus('p').find((replica) => replica.name === name)?.lag === 0);

describe('a planned promotion', () => {
  it('makes a standby take writes, keeps every row, and refuses writes to the old master', async () => {
    const old = manager.resolveWriteService('p');
    const writes = Array.from({ length: 50 }, async (_, number) => await old?.create('Item', { id: `row-${number}` }));
    await Promise.all(writes);
    await old?.dialect.executeRun(`CREATE FUNCTION book() RETURNS text LANGUAGE sql AS $$ INSERT INTO items (id) VALUES ('booked') RETURNING id $$`);
    await manager.promoteToMaster('p', 'standby_1');
    expect(roles()).toEqual({ m: 'slave', standby_1: 'master', standby_2: 'slave' });
    const master = manager.resolveWriteService('p');
    expect(await master?.count('Item')).toBe(50);
    await master?.create('Item', { id: 'after' });
    await expect(old?.create('Item', { id: 'lost' })).rejects.toMatchObject({ kind: 'ReadOnly' });
    await expect(old?.dialect.executeRun(`DELETE FROM items`)).rejects.toMatchObject({ kind: 'ReadOnly' });
    await expect(old?.dialect.$transaction(async (tx) => await tx.executeRun('DELETE FROM items'))).rejects.toMatchObject({ kind: 'ReadOnly' });
    await expect(old?.dialect.executeQuery('SELECT book()')).rejects.toMatchObject({ code: '25006' });
    expect(await old?.dialect.executeQuery('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await eventually(async () => (await old?.count('Item')) === 51);
    await eventually(() => Array.from({ length: 6 }, () => manager.resolveReadService('p')).includes(old ?? null));
    await manager.promoteToMaster('p', 'standby_1');
    expect(roles()['standby_1']).toBe('master');
  });

  it('of a standby with lagTolerance 0 that is behind is refused with how far, and the master takes writes again', async () => {
    const [standby] = primary.standbys;
    await standby?.psql('SELECT pg_wal_replay_pause()');
    await eventually(async () => (await standby?.psql('SELECT pg_get_wal_replay_pause_state()')) === 'paused');
    const master = manager.resolveWriteService('p');
    await master?.create('Item', { id: 'a' });
    await expect(manager.promoteToMaster('p', 'standby_1')).rejects.toMatchObject({ code: 'ERR_REPLICA_BEHIND', message: expect.stringMatching(/is \d+ bytes behind/) });
    await master?.create('Item', { id: 'b' });
    expect(roles()).toEqual({ m: 'master', standby_1: 'slave', standby_2: 'slave' });
    await standby?.psql('SELECT pg_wal_replay_resume()');
  });

  it('waits for a transaction that is open on the old master', async () => {
    const master = manager.resolveWriteService('p');
    const tx = await master?.dialect.beginTx();
    await tx?.executeRun(`INSERT INTO items (id) VALUES ('in-transaction')`);
    const promotion = manager.promoteToMaster('p', 'standby_1');
    await eventually(async () => await master?.create('Item', {}).then(() => false, () => true));
    await tx?.commit();
    await promotion;
    expect(await manager.resolveWriteService('p')?.findById('Item', 'in-transaction')).toMatchObject({ id: 'in-transaction' });
  });
});

describe('a read', () => {
  it('goes on at another replica when its own dies between resolve and use', async () => {
    await manager.resolveWriteService('p')?.create('Item', { id: 'a' });
    await Promise.all(primary.standbys.map((standby) => standby.waitUntilCaughtUp()));
    await Promise.all([isCaughtUp('standby_1'), isCaughtUp('standby_2')]);
    const services = [manager.resolveReadService('p'), manager.resolveReadService('p')];
    await primary.standbys[0]?.kill();
    for (const service of services) expect(await service?.findById('Item', 'a')).toMatchObject({ id: 'a' });
    await primary.standbys[1]?.kill();
    for (const service of services) expect(await service?.execute({ op: 'findAll', entity: 'Item' })).toMatchObject({ status: 'ok', metadata: { count: 1 } });
  });

  it('after a token sees the write, at the master while no standby is known to have it', async () => {
    const master = manager.resolveWriteService('p');
    await Promise.all(primary.standbys.map((standby) => standby.psql('SELECT pg_wal_replay_pause()')));
    await Promise.all(primary.standbys.map((standby) => eventually(async () => (await standby.psql('SELECT pg_get_wal_replay_pause_state()')) === 'paused')));
    await master?.create('Item', { id: 'mine' });
    const after = await master?.lastWriteToken();
    if (after === undefined) throw new Error('no token');
    const reader = manager.resolveReadService('p', { after });
    expect(reader?.dialect).toBe(master?.dialect);
    expect(await reader?.findById('Item', 'mine')).not.toBeNull();
    await primary.standbys[0]?.psql('SELECT pg_wal_replay_resume()');
    const slave = await eventually(() => {
      const service = manager.resolveReadService('p', { after });
      return service?.dialect === master?.dialect ? undefined : service;
    });
    expect(await slave.findById('Item', 'mine')).not.toBeNull();
    await primary.standbys[1]?.psql('SELECT pg_wal_replay_resume()');
    expect(() => manager.resolveReadService('p', { after: 'no token' })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
  });
});

describe('a dead master', () => {
  it('is replaced by the standby that has everything, and is a slave that is fed and serves reads when it comes back', async () => {
    const told: unknown[] = [];
    manager.on('failover', (event) => told.push(event));
    manager.on('replica.promoted', (event) => told.push(event));
    manager.setAutoFailover('p', { after: 200 });
    const old = manager.resolveWriteService('p');
    await old?.create('Item', { id: 'a' });
    await Promise.all(primary.standbys.map((standby) => standby.waitUntilCaughtUp()));
    await Promise.all([isCaughtUp('standby_1'), isCaughtUp('standby_2')]);
    await primary.kill();
    await eventually(() => Object.values(roles()).includes('master') && roles()['m'] === 'slave', { deadlineMs: 30_000 });
    const master = await eventually(() => manager.resolveWriteService('p'));
    expect(await master.findById('Item', 'a')).not.toBeNull();
    await master.create('Item', { id: 'b' });
    expect(told).toMatchObject([{ project: 'p', oldMaster: 'm', missingBytes: 0 }, { project: 'p' }]);
    await primary.start();
    await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 'm')?.status === 'connected');
    await expect(old?.create('Item', { id: 'c' })).rejects.toMatchObject({ kind: 'ReadOnly' });
    await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 'm')?.feed === 'managed', { deadlineMs: 30_000 });
    await eventually(async () => (await old?.findById('Item', 'b')) !== null, { deadlineMs: 30_000 });
    await eventually(() => Array.from({ length: 6 }, () => manager.resolveReadService('p')).includes(old ?? null));
  });

  it('is not replaced while a standby still receives from it, which is told once', async () => {
    const refusals: { reason: string }[] = [];
    manager.on('failover.refused', (event) => refusals.push(event));
    manager.setAutoFailover('p', { after: 100 });
    // Only logins over TCP are refused: the master lives, and its standbys, which come by its socket, know that.
    const hba = await primary.psql('SHOW hba_file', 'postgres');
    await primary.psql(`COPY (SELECT 'local all all trust' UNION ALL SELECT 'local replication all trust') TO '${hba}'`, 'postgres');
    await primary.psql('SELECT pg_reload_conf()', 'postgres');
    await primary.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL`, 'postgres');
    await eventually(() => refusals.length > 0, { deadlineMs: 20_000 });
    expect(refusals[0]?.reason).toContain('still receives from it');
    expect(roles()['m']).toBe('master');
    expect(refusals).toHaveLength(1);
  });

  it('whose standbys are known to lack something is not replaced by one with lagTolerance 0', async () => {
    const refusals: { reason: string }[] = [];
    manager.on('failover.refused', (event) => refusals.push(event));
    await Promise.all(primary.standbys.map((standby) => standby.kill()));
    await manager.resolveWriteService('p')?.create('Item', { id: 'only-at-the-master' });
    const { lagBytes = 0 } = await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 'm'));
    expect(lagBytes).toBe(0);
    const before = await manager.resolveWriteService('p')?.lastWriteToken();
    expect(before).toContain('m/postgres/');
    await eventually(() => manager.getReplicaStatus('p').every(({ role, status }) => role === 'master' || status === 'error'));
    manager.setAutoFailover('p', { after: 100 });
    await primary.kill();
    await eventually(() => refusals.length > 0, { deadlineMs: 20_000 });
    expect(refusals[0]?.reason).toMatch(/no connected standby/);
    manager.setAutoFailover('p', null);
    await Promise.all(primary.standbys.map((standby) => standby.start()));
    await eventually(() => manager.getReplicaStatus('p').filter(({ status }) => status === 'connected').length === 2);
    await expect(manager.promoteToMaster('p', 'standby_1')).rejects.toMatchObject({ code: 'ERR_REPLICA_BEHIND' });
    await manager.promoteToMaster('p', 'standby_1', { force: true });
    expect(roles()['standby_1']).toBe('master');
  });
});
