// Rules whose source has a standby that keeps their slots, as PostgreSQL 17 and later can.
import { ReplicationManager, clearRegistry } from 'replicaverse';
import type { EntitySchema } from 'replicaverse';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { installEmbeddedPostgres } from '../../../scripts/servers/embedded-postgres.mjs';
import { eventually, startPostgres } from '../../support/index.mjs';
import type { PostgresPrimary } from '../../support/postgres.mjs';

const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };
const RULE_SLOTS = `SELECT synced AND failover AND NOT temporary FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%'`;

let primary: PostgresPrimary;
let manager: ReplicationManager;
beforeAll(async () => {
  clearRegistry();
  const embedded = await installEmbeddedPostgres(() => undefined);
  if (!('bin' in embedded)) throw new Error(embedded.reason);
  primary = await startPostgres({ bin: embedded.bin });
  await primary.psql(`SELECT pg_create_physical_replication_slot('standby')`, 'postgres');
  await primary.addCopiedStandby('s', { primary_slot_name: 'standby', hot_standby_feedback: true, sync_replication_slots: true });
  await primary.psql(`ALTER SYSTEM SET synchronized_standby_slots = 'standby'`, 'postgres');
  await primary.psql('SELECT pg_reload_conf()', 'postgres');
  manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
});
afterAll(async () => {
  await manager.disconnectAll();
  await primary.remove();
});

it('a rule whose source is promoted goes on by its failover slot, and nothing is copied', async () => {
  const [standby] = primary.standbys;
  if (standby === undefined) throw new Error('there is no standby');
  await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: primary.uri }, [item]);
  await standby.waitUntilCaughtUp();
  await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'postgres', uri: standby.uri, schemaStrategy: 'none' }, [item]);
  await manager.addReplica('t', { name: 't', role: 'master', dialect: 'sqlite', uri: ':memory:' }, [item]);
  const errors: string[] = [];
  manager.on('error', (error) => void errors.push((error as { code: string }).code));
  manager.addReplicationRule({ name: 'r', source: 'p', target: 't', mode: 'cdc', collections: ['items'] });
  await manager.start('r');
  await manager.stop('r');
  // As if an earlier version of the server or of the library had made the slot.
  const slot = await primary.psql(`SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%'`);
  // A copy stands where the slot stood, and is none that standbys keep.
  for (const [from, to] of [[slot, 'copy'], ['copy', slot]]) {
    await primary.psql(`SELECT pg_copy_logical_replication_slot('${from}', '${to}')`);
    await primary.psql(`SELECT pg_drop_replication_slot('${from}')`);
  }
  expect(await primary.psql(`SELECT failover FROM pg_replication_slots WHERE slot_name = '${slot}'`)).toBe('f');
  await manager.start('r');
  // The standby keeps a slot once the log has come further than where the slot began.
  let written = 0;
  const write = async (): Promise<unknown> => await manager.resolveWriteService('p')?.create('Item', { id: `row-${(written += 1)}` });
  await eventually(
    async () => {
      await write();
      await primary.psql('SELECT pg_log_standby_snapshot()', 'postgres');
      return (await standby.psql(RULE_SLOTS)) === 't';
    },
    { deadlineMs: 60_000, intervalMs: 100, what: 'the slot at the standby' },
  );
  await manager.stop('r');
  await manager.resolveWriteService('p')?.dialect.executeRun(`DELETE FROM items WHERE id = 'row-1'`);
  await write();
  await manager.promoteToMaster('p', 's');
  await manager.start('r');
  const ids = async (project: string): Promise<string> => (await manager.resolveWriteService(project)?.findAll<{ id: string }>('Item') ?? []).map(({ id }) => id).sort().join();
  await eventually(async () => (await ids('t')) === (await ids('p')));
  expect(manager.getSyncStats('r')).toMatchObject({ details: [{ created: 1, updated: 0, deleted: 1, skipped: 0 }] });
  await write();
  await eventually(async () => (await ids('t')) === (await ids('p')));
  expect(errors).not.toContain('ERR_LOG_LOST');
});
