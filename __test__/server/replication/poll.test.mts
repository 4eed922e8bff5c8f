// Mode cdc with capture 'poll': rows whose updatedAt is new are copied, none is lost, none is deleted.
import { ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, IDialect, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DIALECTS, Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

const note: EntitySchema = {
  name: 'Note',
  collection: 'notes',
  fields: { text: { type: 'string' }, n: { type: 'number' } },
  relations: {},
  indexes: [],
  timestamps: true,
};

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

async function ends(from: Dialect, to: Dialect, schemas: EntitySchema[] = [note]): Promise<void> {
  for (const [project, dialect] of [['from', from], ['to', to]] as const) {
    await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, schemas);
  }
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', capture: 'poll', collections: ['Note'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

function sql(project: string): IDialect {
  return service(project).dialect;
}

const day = (n: number) => new Date(Date.UTC(2024, 0, n));

describe.each(DIALECTS.map((source) => [source, source === 'postgres' ? 'mongodb' : 'postgres'] as const))('%s → %s', (from, to) => {
  it('copies everything at first, then what is new, and reads no more than that', async () => {
    await ends(from, to);
    rule();
    for (let n = 1; n <= 20; n += 1) await service('from').create('Note', { id: `row ${String(n)}`, n, updatedAt: day(n) });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 20, errors: 0, details: [{ created: 20, updated: 0, deleted: 0 }] });
    expect(manager.getSyncCursor('r')?.cursors.Note).toEqual(new Date(day(20).getTime() - 5000));

    await service('from').update('Note', 'row 3', { text: 'changed', updatedAt: day(21) });
    await service('from').create('Note', { id: 'new', updatedAt: day(22) });
    await service('from').delete('Note', 'row 5');
    const second = await manager.sync('r');
    // Row 20 is read again because of the overlap.
    expect(second).toMatchObject({ recordsSynced: 2, errors: 0, details: [{ created: 1, updated: 1, deleted: 0, skipped: 1 }] });
    expect(await service('to').findById('Note', 'row 3')).toMatchObject({ text: 'changed', updatedAt: day(21) });
    expect(await service('to').findById('Note', 'row 5')).not.toBeNull();
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, details: [{ skipped: 1 }] });
  });

  it('does not lose a row that was committed late, within the overlap', async () => {
    await ends(from, to);
    rule({ pollOverlapMs: 60_000 });
    const newest = day(10).getTime();
    await service('from').create('Note', { id: 'a', updatedAt: new Date(newest) });
    await manager.sync('r');
    await service('from').create('Note', { id: 'late', updatedAt: new Date(newest - 59_000) });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1 });
    expect(await service('to').findById('Note', 'late')).not.toBeNull();
  });

  it('does not lose rows without an updatedAt', async () => {
    await ends(from, to);
    rule();
    await service('from').create('Note', { id: 'a', updatedAt: day(1) });
    await manager.sync('r');
    const insert = {
      postgres: `INSERT INTO notes (id, text) VALUES ('undated', 'x')`,
      sqlite: `INSERT INTO notes (id, text) VALUES ('undated', 'x')`,
      mariadb: `INSERT INTO notes (id, text) VALUES ('undated', 'x')`,
      mongodb: JSON.stringify({ insert: 'notes', documents: [{ _id: 'undated', text: 'x' }] }),
    };
    await sql('from').executeRun(insert[from]);
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1, errors: 0 });
    expect(await service('to').findById('Note', 'undated')).toMatchObject({ text: 'x' });
  });
});

describe('rows', () => {
  it('that change while a run is under way arrive by the next one', async () => {
    await ends('sqlite', 'postgres');
    rule();
    await sql('from').executeRun("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000) INSERT INTO notes (id, n, \"updatedAt\") SELECT 'row ' || n, n, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM n");
    let writing: Promise<unknown> | undefined;
    manager.on('rule.sync.progress', () => {
      writing ??= Promise.all([service('from').update('Note', 'row 1', { text: 'meanwhile' }), service('from').create('Note', { id: 'meanwhile' })]);
    });
    await manager.sync('r');
    await writing;
    manager.removeAllListeners('rule.sync.progress');
    await manager.sync('r');
    expect(await service('to').findById('Note', 'row 1')).toMatchObject({ text: 'meanwhile' });
    expect(await service('to').findById('Note', 'meanwhile')).not.toBeNull();
  });

  it('that were softly deleted are found, although that leaves updatedAt alone', async () => {
    const soft = { ...note, softDelete: true };
    for (const from of DIALECTS) {
      manager = new ReplicationManager();
      await ends(from, 'sqlite', [soft]);
      rule();
      for (const n of [1, 20]) await service('from').create('Note', { id: String(n), updatedAt: day(n) });
      await manager.sync('r');
      await service('from').delete('Note', '1');
      expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1, errors: 0 });
      expect(await service('to').findById('Note', '1')).toBeNull();
      await manager.disconnectAll();
    }
  });

  it.each(['postgres', 'mariadb'] as const)('of a transaction of %s that is still open when a run begins are not passed over', async (from) => {
    await ends(from, 'sqlite');
    rule({ pollOverlapMs: 0 });
    const open = await sql('from').beginTx();
    await open.create(note, { id: 'slow' });
    await service('from').create('Note', { id: 'quick' });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1 });
    await open.commit();
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1 });
    expect(await service('to').findById('Note', 'slow')).not.toBeNull();
  });

  it('that failed are tried again at the next run, also when the cursor has moved beyond them', async () => {
    await ends('sqlite', 'postgres');
    rule();
    await sql('to').executeRun('ALTER TABLE notes ADD CONSTRAINT small CHECK (n < 100)');
    await service('from').create('Note', { id: 'bad', n: 500, updatedAt: day(1) });
    await service('from').create('Note', { id: 'good', n: 1, updatedAt: day(20) });
    const first = await manager.sync('r');
    expect(first).toMatchObject({ recordsSynced: 1, errors: 1, details: [{ failures: [{ key: 'bad' }] }] });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, errors: 1 });
    await sql('to').executeRun('ALTER TABLE notes DROP CONSTRAINT small');
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1, errors: 0 });
    expect(await service('to').findById('Note', 'bad')).toMatchObject({ n: 500 });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, errors: 0 });
  });

  it('are all copied again to a target that was emptied, or to another master', async () => {
    await ends('sqlite', 'sqlite');
    rule();
    for (const n of [1, 20]) await service('from').create('Note', { id: String(n), updatedAt: day(n) });
    await manager.sync('r');
    await sql('to').executeRun('DELETE FROM notes');
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 2 });
    await manager.removeReplica('to', 'm');
    await manager.addReplica('to', { name: 'n', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, [note]);
    await service('to').create('Note', { id: '20', updatedAt: day(20) });
    expect(await manager.sync('r')).toMatchObject({ details: [{ created: 1 }] });
  });
});

describe('a rule', () => {
  it('of mode cdc that does not ask for polling is refused where there is no log, saying what to do', async () => {
    await ends('mongodb', 'sqlite');
    manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', collections: ['Note'], capture: 'trigger' });
    await expect(manager.sync('r')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining("capture: 'poll'") as string });
  });

  it('names a table without updatedAt, and copies the others', async () => {
    await ends('postgres', 'sqlite');
    await sql('from').executeRun('CREATE TABLE plain (id int PRIMARY KEY)');
    rule({ collections: ['plain', 'Note'] });
    await service('from').create('Note', { id: 'a' });
    expect(await manager.sync('r')).toMatchObject({
      recordsSynced: 1,
      errors: 1,
      details: [{ collection: 'plain', failures: [{ key: '', reason: expect.stringContaining('no column updatedAt') as string }] }, { created: 1 }],
    });
    expect(Object.keys(manager.getSyncCursor('r')?.cursors ?? {})).toEqual(['Note']);
  });

  it('keeps how it captures in the list of rules and refuses what does not exist', () => {
    rule({ pollOverlapMs: 250 });
    expect(manager.listRules()).toMatchObject([{ capture: 'poll', pollOverlapMs: 250 }]);
    expect(() => { rule({ name: 's', capture: 'guess' as never }); }).toThrow(/capture: unknown value "guess"/);
  });
});
