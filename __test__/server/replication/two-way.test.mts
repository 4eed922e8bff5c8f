// Mode bidirectional streamed: both sides take what the other one writes, conflicts are told and decided, and losers are kept.
import { ReplicationManager } from 'replicaverse';
import type { ConflictNotice, IDialect, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';
import { Databases } from './databases.mjs';

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(async () => {
  manager = new ReplicationManager();
  await manager.addReplica('shop', { name: 'm', role: 'master', dialect: 'postgres', uri: await databases.create('postgres') }, []);
  await manager.addReplica('till', { name: 'm', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, []);
  await side('shop').executeRun('CREATE TABLE item (id bigint PRIMARY KEY, name text, stock integer)');
});
afterEach(() => manager.disconnectAll());

const RULE: ReplicationRuleConfig = { name: 'desk', source: 'shop', target: 'till', mode: 'bidirectional', collections: ['item'] };

function side(project: 'shop' | 'till'): IDialect {
  const service = manager.resolveWriteService(project);
  if (service === null) throw new Error(`${project} has no master`);
  return service.dialect;
}

async function stocks(project: 'shop' | 'till'): Promise<Record<string, number>> {
  const rows = await side(project).executeQuery<{ id: number | string; stock: number }>('SELECT id, stock FROM item');
  return Object.fromEntries(rows.map(({ id, stock }) => [String(id), Number(stock)]));
}

async function untilBothHave(expected: Record<string, number>): Promise<void> {
  await eventually(async () => {
    expect(await stocks('shop')).toEqual(expected);
    expect(await stocks('till')).toEqual(expected);
    return true;
  });
}

it('streams both ways, deletions included, until it is stopped', async () => {
  manager.addReplicationRule(RULE);
  await manager.start('desk');
  await side('shop').executeRun("INSERT INTO item VALUES (1, 'pen', 10), (2, 'ink', 5)");
  await untilBothHave({ 1: 10, 2: 5 });
  await side('till').executeRun('UPDATE item SET stock = 9 WHERE id = 1');
  await side('till').executeRun('DELETE FROM item WHERE id = 2');
  await untilBothHave({ 1: 9 });
  await manager.stop('desk');
  await side('till').executeRun('UPDATE item SET stock = 8 WHERE id = 1');
  expect(await stocks('shop')).toEqual({ 1: 9 });
  expect(await manager.sync('desk')).toMatchObject({ recordsSynced: 1, errors: 0 });
  await untilBothHave({ 1: 8 });
});

it('asks the application where both sides have changed a row, and keeps both versions', async () => {
  manager.addReplicationRule({ ...RULE, conflictResolution: 'resolve' });
  const told: ConflictNotice[] = [];
  manager.on('conflict', (conflict) => told.push(conflict));
  const resolve = async ({ source, target }: { source: Record<string, unknown> | null; target: Record<string, unknown> | null }) => {
    await Promise.resolve();
    if (source === null || target === null) return source ?? target;
    return { stock: Math.min(Number(source.stock), Number(target.stock)) };
  };
  await expect(manager.start('desk')).rejects.toThrow(/resolve/);
  await side('shop').executeRun("INSERT INTO item VALUES (1, 'pen', 10), (2, 'ink', 5)");
  await manager.start('desk', { resolve });
  await untilBothHave({ 1: 10, 2: 5 });
  await manager.stop('desk');
  await side('shop').executeRun('UPDATE item SET stock = 7 WHERE id = 1');
  await side('till').executeRun('UPDATE item SET stock = 4 WHERE id = 1');
  await side('shop').executeRun('DELETE FROM item WHERE id = 2');
  await side('till').executeRun('UPDATE item SET stock = 3 WHERE id = 2');
  await manager.start('desk', { resolve });
  await untilBothHave({ 1: 4, 2: 3 });
  await manager.stop('desk');
  expect(new Set(told.map(({ key }) => key))).toEqual(new Set(['1', '2']));
  const kept = [];
  for (const project of ['shop', 'till'] as const) {
    kept.push(...(await side(project).executeQuery<{ row_key: string; source_row: string | null; target_row: string | null }>('SELECT * FROM replicaverse_conflict')));
  }
  const stock = (row: string | null) => (row === null ? null : (JSON.parse(row) as { stock: number }).stock);
  const versions = kept.map((row) => [row.row_key, stock(row.source_row), stock(row.target_row)]);
  expect(versions.sort()).toEqual([
    ['1', 7, 4],
    ['2', null, 3],
  ]);
});
