// Rules whose source has a standby of PostgreSQL that is promoted, and masters of before that are rewound.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema, RewindRequest } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, startPostgres } from '../../support/index.mjs';
import type { PostgresPrimary } from '../../support/postgres.mjs';

const run = promisify(execFile);

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };

let primary: PostgresPrimary;
let manager: ReplicationManager;
const rewound: RewindRequest[] = [];
beforeEach(async () => {
  clearRegistry();
  rewound.length = 0;
  // pg_rewind needs both: it must find every page that has changed.
  primary = await startPostgres({ standbys: 1, settings: { wal_log_hints: 'on', full_page_writes: 'on' } });
});
afterEach(async () => {
  await manager.disconnectAll();
  await primary.remove();
});

async function connect(options: ConstructorParameters<typeof ReplicationManager>[1] = {}): Promise<void> {
  manager = new ReplicationManager(undefined, { lagIntervalMs: 50, ...options });
  await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: primary.uri }, [item]);
  const [standby] = primary.standbys;
  await standby?.waitUntilCaughtUp();
  await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'postgres', uri: standby?.uri ?? '', schemaStrategy: 'none' }, [item]);
}

const master = (project: string): NonNullable<ReturnType<ReplicationManager['resolveWriteService']>> => {
  const service = manager.resolveWriteService(project);
  if (service === null) throw new Error(`project ${project} has no master`);
  return service;
};

describe('a rule whose source is promoted', () => {
  it('deletes what was deleted unseen, keeps rows that the source never had, and goes on streaming, there and back', async () => {
    // An old master that cannot be rewound is fed by the library.
    await connect({ rewind: { command: process.execPath, args: ['-e', 'process.exit(process.env.REPLICATOR_REPLICA === "m" ? 3 : 4)'] } });
    const warnings: (string | undefined)[] = [];
    manager.on('replica.feed', ({ warning }) => warnings.push(warning));
    await manager.addReplica('t', { name: 't', role: 'master', dialect: 'sqlite', uri: ':memory:' }, [item]);
    const ids = async (): Promise<string[]> => (await master('t').findAll<{ id: string }>('Item')).map(({ id }) => id).sort();
    await Promise.all(Array.from({ length: 20 }, async (_, number) => await master('p').create('Item', { id: `row-${number + 10}` })));
    const errors: string[] = [];
    manager.on('error', (error) => void errors.push((error as { code: string }).code));
    manager.addReplicationRule({ name: 'r', source: 'p', target: 't', mode: 'cdc', collections: ['items'] });
    await manager.start('r');
    await master('t').create('Item', { id: 'own' });
    await manager.stop('r');
    await master('p').dialect.executeRun(`DELETE FROM items WHERE id <= 'row-24'`);
    await master('p').create('Item', { id: 'row-40' });
    await manager.promoteToMaster('p', 's');
    await manager.start('r');
    const left = ['own', 'row-25', 'row-26', 'row-27', 'row-28', 'row-29', 'row-40'];
    expect(await ids()).toEqual(left);
    const state = manager.getRuleStates()[0];
    expect(state?.position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    await master('p').dialect.executeRun(`DELETE FROM items WHERE id = 'row-25'`);
    await master('p').create('Item', { id: 'row-41' });
    await eventually(async () => (await ids()).join() === [...left.filter((id) => id !== 'row-25'), 'row-41'].join());
    // The old master does not keep its log for a rule that reads another one.
    await eventually(async () => (await primary.psql(`SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%'`)) === '0');

    expect(warnings.join()).toContain('could not be rewound (the rewind command ended with exit code 3)');
    expect(manager.getReplicaStatus('p').find(({ name }) => name === 'm')?.feed).toBe('managed');

    // And back, to a server on another timeline, while somebody writes.
    let isOver = false;
    const writing = (async (): Promise<void> => {
      for (let number = 0; !isOver; number++) {
        // Those that are refused while the master changes are not in effect.
        await master('p').delete('Item', `new-${number - 5}`).catch(() => undefined);
        await master('p').create('Item', { id: `new-${number}` }).catch(() => undefined);
      }
    })();
    await manager.promoteToMaster('p', 'm');
    isOver = true;
    await writing;
    const atSource = async (): Promise<string[]> => (await master('p').findAll<{ id: string }>('Item')).map(({ id }) => id);
    await eventually(async () => (await ids()).join() === [...(await atSource()), 'own'].sort().join(), { deadlineMs: 20_000 });
    expect(errors).toContain('ERR_LOG_LOST');
    expect(errors).not.toContain('ERR_ROWS_KEPT');
  });
});

describe('a master of before', () => {
  it('is rewound by the function of the application after every lost row was told, and follows as a standby', async () => {
    await connect({
      rewind: async (request) => {
        rewound.push(request);
        await rewindServer();
      },
    });
    const lost: { keys: string[] }[] = [];
    manager.on('rows.lost', (event) => lost.push(event));
    manager.setAutoFailover('p', null);
    await master('p').create('Item', { id: 'a' });
    await primary.standbys[0]?.waitUntilCaughtUp();
    await primary.kill();
    await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 'm')?.status === 'error');
    await manager.promoteToMaster('p', 's', { force: true });
    await master('p').create('Item', { id: 'b' });
    // The old master comes back as it was, and somebody writes to it before the manager has looked at it.
    await primary.start();
    await primary.psql(`INSERT INTO items (id) VALUES ('lost')`);
    const status = () => manager.getReplicaStatus('p').find(({ name }) => name === 'm');
    await eventually(() => status()?.feed === 'native' && status()?.status === 'connected', { deadlineMs: 40_000 });
    expect(rewound).toEqual([{ project: 'p', name: 'm', newMaster: 's' }]);
    expect(lost.flatMap(({ keys }) => keys)).toContain('lost');
    expect(await primary.psql('SELECT pg_is_in_recovery()')).toBe('t');
    await master('p').create('Item', { id: 'c' });
    await eventually(async () => (await primary.psql('SELECT string_agg(id, $$,$$ ORDER BY id) FROM items')) === 'a,b,c');
    await eventually(() => status()?.lag === 0);
  });
});

describe('a master of before that cannot be rewound', () => {
  it('is fed by the library, and every lost row is told once', async () => {
    await connect({ rewind: { command: process.execPath, args: ['-e', 'process.exit(3)'] } });
    const lost: { keys: string[] }[] = [];
    manager.on('rows.lost', (event) => lost.push(event));
    const warnings: (string | undefined)[] = [];
    manager.on('replica.feed', ({ warning }) => warnings.push(warning));
    await master('p').create('Item', { id: 'a' });
    await primary.standbys[0]?.waitUntilCaughtUp();
    await primary.kill();
    await eventually(() => manager.getReplicaStatus('p').find(({ name }) => name === 'm')?.status === 'error');
    await manager.promoteToMaster('p', 's', { force: true });
    await primary.start();
    await primary.psql(`INSERT INTO items (id) VALUES ('lost')`);
    await eventually(() => warnings.join().includes('could not be rewound'), { deadlineMs: 40_000 });
    await master('p').create('Item', { id: 'b' });
    await eventually(async () => (await primary.psql('SELECT string_agg(id, $$,$$ ORDER BY id) FROM items')) === 'a,b', { deadlineMs: 40_000 });
    expect(lost.flatMap(({ keys }) => keys).filter((key) => key === 'lost')).toEqual(['lost']);
  });
});

/** What an operator does: the server is stopped in order, rewound and started as a standby of the new primary. */
async function rewindServer(): Promise<void> {
  const [standby] = primary.standbys;
  if (standby === undefined) throw new Error('there is no standby');
  await primary.stop();
  const { bin, folder, account } = primary.identity;
  const source = `host=${standby.socketDir} port=${standby.port} user=${standby.user} dbname=postgres`;
  const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  const options = { ...identity, cwd: folder.root, env: { PATH: process.env['PATH'], LC_ALL: 'C' } };
  await standby.psql('CHECKPOINT', 'postgres');
  await run(path.join(bin, 'pg_rewind'), ['-D', folder.data, '--source-server', source, '-R', '--no-sync'], options);
  await primary.start();
}
