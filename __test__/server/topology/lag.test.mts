// Lag as it is measured on real standbys, subscriptions, replicas and secondaries.
import { ReplicationManager } from 'replicaverse';
import type { ReplicaInfo } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, startMariadb, startMongo, startMongoSecondary, startPostgres } from '../../support/index.mjs';
import type { MariadbNode } from '../../support/mariadb.mjs';
import type { MongoServer } from '../../support/mongodb.mjs';
import type { PostgresPrimary } from '../../support/postgres.mjs';

const LOOK = 50;

let manager: ReplicationManager;
beforeEach(() => {
  manager = new ReplicationManager(undefined, { lagIntervalMs: LOOK });
});
afterEach(async () => {
  await manager.disconnectAll();
});

const statusOf = (name: string): ReplicaInfo | undefined => manager.getReplicaStatus('p').find((replica) => replica.name === name);
const measured = (name: string, holds: (status: ReplicaInfo) => boolean): Promise<ReplicaInfo> =>
  eventually(
    () => {
      const status = statusOf(name);
      if (status !== undefined && holds(status)) return status;
      throw new Error(JSON.stringify(status));
    },
    { deadlineMs: 20_000, what: `the lag of ${name}` },
  );

describe('a streaming standby', () => {
  let primary: PostgresPrimary;
  beforeAll(async () => {
    primary = await startPostgres({ standbys: 2 });
    await primary.psql('CREATE TABLE t (id int)');
  });
  afterAll(async () => {
    await primary.remove();
  });

  beforeEach(async () => {
    await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: primary.uri, schemaStrategy: 'none' }, []);
    for (const standby of primary.standbys) {
      await manager.addReplica('p', { name: standby.name, role: 'slave', dialect: 'postgres', uri: standby.uri, schemaStrategy: 'none', lagTolerance: 200 }, []);
    }
  });

  it('starts at lag 0, and has lag 0 while it is idle and caught up', async () => {
    expect(statusOf('standby_1')?.lag).toBe(0);
    await primary.standbys[0]?.waitUntilCaughtUp();
    const { lagBytes } = await measured('standby_1', ({ lag, lagBytes: bytes }) => lag === 0 && bytes === 0);
    expect(lagBytes).toBe(0);
    expect(statusOf('m')).not.toHaveProperty('lag');
  });

  it('whose replay is paused falls behind in ms and bytes, gives its reads to the other one, and comes back by itself', async () => {
    const [first] = primary.standbys;
    const states: { name: string; stale: boolean }[] = [];
    manager.on('replica.state', ({ name, stale }) => states.push({ name, stale }));
    await first?.psql('SELECT pg_wal_replay_pause()');
    await eventually(async () => (await first?.psql('SELECT pg_get_wal_replay_pause_state()')) === 'paused');
    await primary.psql('INSERT INTO t SELECT generate_series(1, 1000)');
    const behind = await measured('standby_1', ({ lag = 0, lagBytes = 0 }) => lag > 200 && lagBytes > 0);
    expect(behind).toMatchObject({ status: 'connected' });
    const other = manager.resolveReadService('p');
    const reads = new Set(Array.from({ length: 6 }, () => manager.resolveReadService('p')));
    expect([...reads]).toEqual([other]);
    expect(await other?.dialect.executeQuery('SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: true }]);
    await first?.psql('SELECT pg_wal_replay_resume()');
    await measured('standby_1', ({ lag }) => lag === 0);
    expect(new Set(Array.from({ length: 6 }, () => manager.resolveReadService('p'))).size).toBe(2);
    expect(states).toContainEqual({ name: 'standby_1', stale: true });
    await eventually(() => states.at(-1)?.stale === false);
  });

  it('whose receiver is dead does not count as caught up, though the master is idle', async () => {
    const [, second] = primary.standbys;
    const conninfo = await second?.psql('SHOW primary_conninfo', 'postgres');
    await second?.psql(`ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'`, 'postgres');
    await second?.psql('SELECT pg_reload_conf()', 'postgres');
    try {
      await measured('standby_2', ({ lag = 0 }) => lag > 300);
    } finally {
      await second?.psql(`ALTER SYSTEM SET primary_conninfo = '${conninfo?.replaceAll("'", "''")}'`, 'postgres');
      await second?.psql('SELECT pg_reload_conf()', 'postgres');
    }
    await measured('standby_2', ({ lag }) => lag === 0);
  });

  it('that dies is an error, is not read from, and comes back by itself', async () => {
    const [first] = primary.standbys;
    await first?.kill();
    await measured('standby_1', ({ status, error }) => status === 'error' && error !== undefined);
    const read = manager.resolveReadService('p');
    expect(new Set(Array.from({ length: 4 }, () => manager.resolveReadService('p')))).toEqual(new Set([read]));
    await first?.start();
    await measured('standby_1', ({ status, lag }) => status === 'connected' && lag === 0);
  });

  it('that follows another master has no known lag, and with feed native is an error', async () => {
    const stranger = await startPostgres();
    try {
      await manager.addReplica('p', { name: 'x', role: 'slave', dialect: 'postgres', uri: stranger.uri, schemaStrategy: 'none' }, []);
      await manager.addReplica('p', { name: 'y', role: 'slave', dialect: 'postgres', uri: stranger.uri, schemaStrategy: 'none', feed: 'native' }, []);
      await measured('y', ({ status, error = '' }) => status === 'error' && error.includes('is not fed'));
      await measured('x', ({ status, lag }) => status === 'connected' && lag === undefined);
      await manager.removeReplica('p', 'x');
      await manager.removeReplica('p', 'y');
    } finally {
      await stranger.remove();
    }
  });

  it('by a logical subscription is measured too, and falls behind when its worker is stopped', async () => {
    const subscriber = await startPostgres();
    try {
      await subscriber.psql('CREATE TABLE t (id int)');
      await primary.psql('CREATE PUBLICATION all_of_t FOR TABLE t');
      await subscriber.psql(`CREATE SUBSCRIPTION fed_by_m CONNECTION '${primary.uri}' PUBLICATION all_of_t`);
      await manager.addReplica('p', { name: 'l', role: 'slave', dialect: 'postgres', uri: subscriber.uri, schemaStrategy: 'none' }, []);
      await primary.psql('INSERT INTO t VALUES (-1)');
      await measured('l', ({ lag, lagBytes }) => lag === 0 && lagBytes === 0);
      await subscriber.psql('ALTER SUBSCRIPTION fed_by_m DISABLE');
      await primary.psql('INSERT INTO t VALUES (-2)');
      await measured('l', ({ lag = 0 }) => lag > 300);
      await subscriber.psql('ALTER SUBSCRIPTION fed_by_m ENABLE');
      await measured('l', ({ lag }) => lag === 0);
      await subscriber.psql('DROP SUBSCRIPTION fed_by_m');
      await manager.removeReplica('p', 'l');
    } finally {
      await subscriber.remove();
    }
  });
});

describe('a MariaDB replica', () => {
  let master: MariadbNode;
  let slave: MariadbNode;
  beforeAll(async () => {
    [master, slave] = await Promise.all([startMariadb({ settings: { 'server-id': 1 } }), startMariadb({ settings: { 'server-id': 2 } })]);
  });
  afterAll(async () => {
    await Promise.all([master.remove(), slave.remove()]);
  });

  it('has lag 0 once it follows its master and has everything, and falls behind when its SQL thread stops', async () => {
    await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'mariadb', uri: master.uri, schemaStrategy: 'none' }, []);
    await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'mariadb', uri: slave.uri, schemaStrategy: 'none', feed: 'native' }, []);
    const [on, at] = [manager.resolveWriteService('p')?.dialect, manager.resolveReadService('p')?.dialect];
    await measured('s', ({ status, error = '' }) => status === 'error' && error.includes('is not fed'));
    const [log] = (await on?.executeQuery('SHOW MASTER STATUS')) as { File: string; Position: number | string }[];
    const { hostname, port, password } = new URL(master.uri);
    await at?.executeRun(
      `CHANGE MASTER TO MASTER_HOST = '${hostname}', MASTER_PORT = ${port}, MASTER_USER = 'root', MASTER_PASSWORD = '${decodeURIComponent(password)}',` +
        ` MASTER_LOG_FILE = '${log?.File}', MASTER_LOG_POS = ${log?.Position}, MASTER_USE_GTID = no, MASTER_CONNECT_RETRY = 1`,
    );
    await at?.executeRun('START SLAVE');
    await on?.executeRun('CREATE TABLE replicated (id INT PRIMARY KEY)');
    await measured('s', ({ status, lag, lagBytes }) => status === 'connected' && lag === 0 && lagBytes === 0);
    await at?.executeRun('STOP SLAVE SQL_THREAD');
    await on?.executeRun('INSERT INTO replicated VALUES (1)');
    await measured('s', ({ lag = 0, lagBytes = 0 }) => lag > 300 && lagBytes > 0);
    await at?.executeRun('START SLAVE SQL_THREAD');
    await measured('s', ({ lag }) => lag === 0);
    await at?.executeRun('STOP SLAVE');
  });
});

describe('a MongoDB secondary', () => {
  let primary: MongoServer;
  let secondary: MongoServer;
  beforeAll(async () => {
    primary = (await startMongo()) as MongoServer;
    secondary = await startMongoSecondary(primary);
  });
  afterAll(async () => {
    await Promise.all([primary.remove(), secondary.remove()]);
  });

  it('has lag 0 when it has everything, falls behind when it stops to apply, and is not promoted by us', async () => {
    await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'mongodb', uri: primary.directUri, schemaStrategy: 'none' }, []);
    await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'mongodb', uri: secondary.directUri, schemaStrategy: 'none' }, []);
    const write = (): Promise<unknown> => primary.command({ insert: 'things', documents: [{}] }, 'app');
    await write();
    await measured('s', ({ lag, lagBytes }) => lag === 0 && lagBytes === undefined);
    await secondary.command({ configureFailPoint: 'rsSyncApplyStop', mode: 'alwaysOn' });
    await write();
    await measured('s', ({ lag = 0 }) => lag > 300);
    await secondary.command({ configureFailPoint: 'rsSyncApplyStop', mode: 'off' });
    await measured('s', ({ lag }) => lag === 0);
    await expect(manager.promoteToMaster('p', 's')).rejects.toMatchObject({ code: 'ERR_PROMOTION', message: expect.stringContaining('rs.stepDown()') });
    expect(manager.resolveWriteService('p')).not.toBeNull();
  });
});
