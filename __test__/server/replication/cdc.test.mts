// Mode cdc from the log: inserts, updates, deletes, key changes and truncates arrive, once, in every kind of database.
import type { ReplicationManager, ReplicationRuleConfig, SyncStats } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';
import { CdcEnds } from './cdc-ends.mjs';

let databases: Databases;
let ends: CdcEnds;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  ends = new CdcEnds(databases);
  manager = ends.manager;
});
afterEach(() => ends.close());

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', collections: ['item'], ...more });
}

const detail = (stats: SyncStats) => stats.details[0];

const PAIRS: readonly (readonly [Dialect, Dialect])[] = [
  ['postgres', 'postgres'],
  ['postgres', 'mongodb'],
  ['postgres', 'sqlite'],
  ['postgres', 'mariadb'],
  ['sqlite', 'sqlite'],
  ['sqlite', 'postgres'],
  ['sqlite', 'mongodb'],
  ['mariadb', 'sqlite'],
  ['mariadb', 'postgres'],
];

describe.each(PAIRS)('%s → %s', (from, to) => {
  it('copies what is there, then applies inserts, updates and deletes, and tells them apart', async () => {
    await ends.open(from, to);
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    rule();
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 3, errors: 0, details: [{ created: 3, updated: 0, deleted: 0 }] });

    await ends.write("INSERT INTO item (id, name) VALUES (4, 'four')");
    await ends.write("UPDATE item SET name = 'TWO' WHERE id = 2");
    await ends.write('DELETE FROM item WHERE id = 1');
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 2, errors: 0, details: [{ created: 1, updated: 1, deleted: 1 }] });
    expect(await ends.names()).toEqual({ 2: 'TWO', 3: 'three', 4: 'four' });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 0, errors: 0 });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });

  it('goes on after a restart from where it was, without copying again', async () => {
    await ends.open(from, to);
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')");
    rule();
    await manager.sync('r');
    await ends.restart();
    manager = ends.manager;
    rule();
    await ends.write("UPDATE item SET name = 'uno' WHERE id = 1");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 0, updated: 1, deleted: 0, skipped: 0 });
    expect(await ends.names()).toEqual({ 1: 'uno', 2: 'two' });
  });

  it('leaves no old row behind when a primary key changes', async () => {
    await ends.open(from, to);
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')");
    rule();
    await manager.sync('r');
    await ends.write('UPDATE item SET id = 10 WHERE id = 1');
    await ends.write('UPDATE item SET id = id + 100');
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 102: 'two', 110: 'one' });
  });

  it('streams until it is stopped', async () => {
    await ends.open(from, to);
    rule();
    const states: string[] = [];
    const changes: string[] = [];
    manager.on('state', ({ state }) => states.push(state));
    manager.on('change', ({ operation, key }) => changes.push(`${operation} ${key}`));
    await manager.start('r');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    await eventually(async () => (await ends.names())[1] === 'one', { what: 'the insert arriving' });
    await ends.write('DELETE FROM item');
    await eventually(async () => Object.keys(await ends.names()).length === 0, { what: 'the delete arriving' });
    await manager.stop('r');
    expect(states).toContain('streaming');
    expect(states.at(-1)).toBe('stopped');
    expect(changes).toEqual(['insert 1', 'delete 1']);
    await ends.write("INSERT INTO item (id, name) VALUES (2, 'later')");
    expect(detail(await manager.sync('r'))).toMatchObject({ created: 1 });
  });
});

describe('PostgreSQL', () => {
  it('3. An unchanged TOASTed column stays, also when insert and update fall in one batch', async () => {
    await ends.open('postgres', 'sqlite');
    await ends.write('ALTER TABLE item ALTER COLUMN name SET STORAGE EXTERNAL');
    await ends.write('ALTER TABLE item ADD COLUMN n integer');
    rule();
    await manager.sync('r');
    const large = 'x'.repeat(50_000);
    await ends.write(`INSERT INTO item (id, name, n) VALUES (1, '${large}', 1)`);
    await manager.sync('r');
    await ends.write('UPDATE item SET n = 2 WHERE id = 1');
    await ends.write(`BEGIN; INSERT INTO item (id, name, n) VALUES (2, '${large}', 1); UPDATE item SET n = 2 WHERE id = 2; COMMIT`);
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 1: large, 2: large });
  });

  it('4. A primary-key update leaves no old row behind, and keeps its large values', async () => {
    await ends.open('postgres', 'mongodb');
    await ends.write('ALTER TABLE item ALTER COLUMN name SET STORAGE EXTERNAL');
    rule();
    const large = 'y'.repeat(50_000);
    await ends.write(`INSERT INTO item (id, name) VALUES (1, '${large}')`);
    await manager.sync('r');
    await ends.write('UPDATE item SET id = 2 WHERE id = 1');
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 2: large });
  });

  it('6. The slot is lost: a typed error and a resynchronisation, never a gap, and no foreign row deleted', async () => {
    await ends.open('postgres', 'postgres');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')");
    rule();
    const errors: unknown[] = [];
    manager.on('error', (error) => errors.push(error));
    await manager.start('r');
    await ends.writeTarget("INSERT INTO item (id, name) VALUES (99, 'foreign')");
    const mine = "slot_name LIKE 'replicaverse%' AND database = current_database()";
    await eventually(
      async () => {
        await ends.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE ${mine} AND active`);
        await ends.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE ${mine} AND NOT active`);
        return (await ends.query(`SELECT 1 FROM pg_replication_slots WHERE ${mine}`)).length === 0;
      },
      { what: 'the slot being dropped under the stream' },
    );
    await ends.write("UPDATE item SET name = 'while it was lost' WHERE id = 1");
    await ends.write("INSERT INTO item (id, name) VALUES (3, 'three')");
    await eventually(() => errors.some((error) => error instanceof Error && 'code' in error && error.code === 'ERR_LOG_LOST'), {
      what: 'the error of the lost log',
    });
    await ends.write("INSERT INTO item (id, name) VALUES (4, 'four')");
    await eventually(async () => (await ends.names())[4] === 'four', { deadlineMs: 30_000, what: 'the stream going on' });
    expect(await ends.names()).toEqual({ 1: 'while it was lost', 2: 'two', 3: 'three', 4: 'four', 99: 'foreign' });
  });

  it('synchronises anew by itself where the slot is gone before a run, and loses nothing', async () => {
    await ends.open('postgres', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')");
    rule();
    await manager.sync('r');
    await ends.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%' AND database = current_database()");
    await ends.write("UPDATE item SET name = 'uno' WHERE id = 1");
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 1: 'uno', 2: 'two' });
  });

  it('1. An idle slot of a busy server does not hold its log back', async () => {
    await ends.open('postgres', 'sqlite');
    rule();
    await manager.start('r');
    const position = () => ends.query("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%' AND database = current_database()");
    const before = await position();
    await ends.write('CREATE TABLE unrelated (id serial PRIMARY KEY, filler text)');
    await ends.write("INSERT INTO unrelated (filler) SELECT repeat('z', 1000) FROM generate_series(1, 2000)");
    const written = await ends.query('SELECT pg_current_wal_lsn()');
    expect(before).not.toEqual(written);
    const reached = `SELECT bool_and(confirmed_flush_lsn >= '${String(Object.values(written[0] ?? {})[0])}') AS reached FROM pg_replication_slots WHERE slot_name LIKE 'replicaverse%' AND database = current_database()`;
    await eventually(async () => (await ends.query(reached))[0]?.reached === true, { deadlineMs: 30_000, what: 'the idle slot moving on' });
  });

  it('follows truncates', async () => {
    await ends.open('postgres', 'mariadb');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    rule();
    await manager.sync('r');
    await ends.write("BEGIN; INSERT INTO item (id, name) VALUES (2, 'two'); TRUNCATE item; INSERT INTO item (id, name) VALUES (3, 'three'); COMMIT");
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 3: 'three' });
  });

  it('follows new and renamed columns where the target may change', async () => {
    await ends.open('postgres', 'sqlite');
    rule();
    await manager.sync('r');
    await ends.write('ALTER TABLE item ADD COLUMN colour text');
    await ends.write("INSERT INTO item (id, name, colour) VALUES (1, 'one', 'red')");
    await manager.sync('r');
    expect(await ends.queryTarget('SELECT colour FROM item')).toEqual([{ colour: 'red' }]);
    await ends.write('ALTER TABLE item RENAME COLUMN colour TO color');
    await ends.write("UPDATE item SET color = 'blue'");
    await manager.sync('r');
    expect(await ends.queryTarget('SELECT color FROM item')).toEqual([{ color: 'blue' }]);
  });

  it('removes slot and publication with the rule', async () => {
    await ends.open('postgres', 'sqlite');
    rule();
    await manager.sync('r');
    const objects = () =>
      ends.query("SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication");
    expect(await objects()).toHaveLength(2);
    manager.removeReplicationRule('r');
    await eventually(async () => (await objects()).length === 0, { what: 'the slot being dropped' });
  });

  it('delivers changes to a loop, in order, and leaves nothing behind when the loop ends', async () => {
    await ends.open('postgres', 'sqlite');
    const seen: unknown[] = [];
    const writing = (async () => {
      await eventually(async () => (await ends.query("SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).length === 1);
      await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
      await ends.write("UPDATE item SET name = 'uno' WHERE id = 1");
      await ends.write('DELETE FROM item WHERE id = 1');
    })();
    for await (const { collection, operation, key, row, committedAt } of manager.changes('from')) {
      expect(committedAt).toBeInstanceOf(Date);
      seen.push([collection, operation, key, row?.name]);
      if (seen.length === 3) break;
    }
    await writing;
    expect(seen).toEqual([
      ['item', 'insert', { id: 1 }, 'one'],
      ['item', 'update', { id: 1 }, 'uno'],
      ['item', 'delete', { id: 1 }, undefined],
    ]);
    expect(await ends.query('SELECT 1 FROM pg_replication_slots WHERE database = current_database()')).toEqual([]);
  });

  it('keeps what a loop that pauses under load has not read in the log of the source, and loses nothing', async () => {
    await ends.open('postgres', 'sqlite');
    // A consumer that is slow must not look like one that has died.
    await ends.write(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET wal_sender_timeout = %L', current_database(), '1s'); END $$`);
    const reader = async () => await ends.query('SELECT active_pid AS pid FROM pg_replication_slots WHERE database = current_database() AND active');
    const first = (async () => {
      await eventually(async () => (await ends.query('SELECT 1 FROM pg_replication_slots WHERE database = current_database()')).length === 1);
      await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    })();
    const [statements, rows] = [6, 6000];
    let seen = 0;
    for await (const { key } of manager.changes<{ id: number }>('from')) {
      seen += 1;
      if (key.id !== seen) throw new Error(`row ${key.id} came in place of row ${seen}`);
      if (seen === 1) {
        const pid = await reader();
        const before = process.memoryUsage.rss();
        let most = 0;
        for (let number = 0; number < statements; number++) {
          const [from, to] = [number * rows + 2, number * rows + rows + 1];
          await ends.write(`INSERT INTO item (id, name) SELECT n, repeat(md5(n::text), 40) FROM generate_series(${from}, ${to}) AS n`);
          most = Math.max(most, process.memoryUsage.rss());
        }
        expect(most - before).toBeLessThan(20 * 2 ** 20);
        expect(await reader()).toEqual(pid);
      }
      if (seen === statements * rows + 1) break;
    }
    await first;
  });

  it('ends a loop whose signal is aborted', async () => {
    await ends.open('postgres', 'sqlite');
    const controller = new AbortController();
    setTimeout(() => {
      controller.abort();
    }, 300);
    const loop = async () => {
      for await (const change of manager.changes('from', { signal: controller.signal })) throw new Error(`unexpected ${change.operation}`);
    };
    await expect(loop()).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('rows that the target refuses', () => {
  it('are set aside with their reason, tried again by the next run, and replaced by a newer change', async () => {
    await ends.open('postgres', 'postgres');
    rule();
    await manager.sync('r');
    await ends.writeTarget("ALTER TABLE item ADD CONSTRAINT no_bad CHECK (name <> 'bad')");
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'good'), (2, 'bad'), (3, 'bad')");
    const stats = await manager.sync('r');
    expect(stats).toMatchObject({ errors: 2, details: [{ created: 1, errors: 2 }] });
    expect(detail(stats)?.failures.map(({ key }) => key)).toEqual(['2', '3']);
    expect(await ends.names()).toEqual({ 1: 'good' });

    await ends.write("UPDATE item SET name = 'mended' WHERE id = 2");
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 1: 'good', 2: 'mended' });

    await ends.writeTarget('ALTER TABLE item DROP CONSTRAINT no_bad');
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 1: 'good', 2: 'mended', 3: 'bad' });
    expect(await ends.queryTarget('SELECT * FROM replicaverse_dead_letter')).toEqual([]);
  });

  it('stop the rule before their transaction when it says so', async () => {
    await ends.open('postgres', 'postgres');
    rule({ onRowError: 'stop' });
    await manager.sync('r');
    await ends.writeTarget("ALTER TABLE item ADD CONSTRAINT no_bad CHECK (name <> 'bad')");
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'good')");
    await ends.write("INSERT INTO item (id, name) VALUES (2, 'good'), (3, 'bad')");
    await expect(manager.sync('r')).rejects.toThrow(/3/);
    expect(await ends.names()).toEqual({ 1: 'good' });
    await ends.writeTarget('ALTER TABLE item DROP CONSTRAINT no_bad');
    await manager.sync('r');
    expect(await ends.names()).toEqual({ 1: 'good', 2: 'good', 3: 'bad' });
  });
});

describe('conflicts', () => {
  it('leave the row of a target that wins, and are counted with their reason', async () => {
    await ends.open('postgres', 'sqlite');
    rule({ conflictResolution: 'target-wins' });
    await manager.sync('r');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    await manager.sync('r');
    await ends.writeTarget("UPDATE item SET name = 'mine' WHERE id = 1");
    await ends.write("UPDATE item SET name = 'theirs' WHERE id = 1");
    const stats = await manager.sync('r');
    expect(detail(stats)).toMatchObject({ updated: 0, skipped: 1, skips: [{ key: '1' }] });
    expect(await ends.names()).toEqual({ 1: 'mine' });
  });
});

describe('a source whose changes cannot be captured', () => {
  it('says the setting to change', async () => {
    const { startPostgres } = await import('../../support/index.mjs');
    const server = await startPostgres({ settings: { wal_level: 'replica' } });
    try {
      await server.psql('CREATE TABLE item (id bigint PRIMARY KEY, name text)');
      await manager.addReplica('from', { name: 'm', role: 'master', dialect: 'postgres', uri: server.uri }, []);
      await manager.addReplica('to', { name: 'm', role: 'master', dialect: 'sqlite', uri: await databases.create('sqlite') }, []);
      rule();
      await expect(manager.sync('r')).rejects.toThrow(/wal_level = logical/);
      await expect(manager.start('r')).rejects.toMatchObject({ code: 'ERR_CAPTURE' });
    } finally {
      await manager.disconnectAll();
      await server.remove();
    }
  });

  it('does not fall back to polling', async () => {
    await ends.open('mongodb', 'sqlite');
    rule({ capture: 'trigger' });
    await expect(manager.sync('r')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });
});

describe('several processes with the same rule', () => {
  it('stream it one at a time, and another takes over', async () => {
    await ends.open('postgres', 'sqlite');
    rule();
    await manager.start('r');
    const second = await ends.another();
    second.addReplicationRule({ name: 'r', source: 'from', target: 'to', mode: 'cdc', collections: ['item'] });
    await second.start('r');
    await eventually(() => second.getRuleStates()[0]?.state === 'standby', { what: 'the second one waiting' });
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    await eventually(async () => (await ends.names())[1] === 'one');
    await manager.disconnectAll();
    await ends.writeThrough(second, "INSERT INTO item (id, name) VALUES (2, 'two')");
    await eventually(async () => (await ends.names(second))[2] === 'two', { what: 'the second one taking over' });
    expect(second.getRuleStates()).toMatchObject([{ rule: 'r', state: 'streaming' }]);
  });
});

describe('verify', () => {
  it('repairs what was changed at the target, and keeps foreign rows unless it is told otherwise', async () => {
    await ends.open('postgres', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    rule();
    await manager.sync('r');
    await ends.writeTarget("UPDATE item SET name = 'wrong' WHERE id = 1");
    await ends.writeTarget('DELETE FROM item WHERE id = 2');
    await ends.writeTarget("INSERT INTO item (id, name) VALUES (9, 'foreign')");
    expect(await manager.verify('r', { repair: 'rows' })).toMatchObject({
      equal: false,
      collections: [{ different: 1, missing: 1, extra: 1, repaired: 2 }],
    });
    expect(await ends.names()).toEqual({ 1: 'one', 2: 'two', 3: 'three', 9: 'foreign' });
    expect(await manager.verify('r', { repair: 'rows-and-extras' })).toMatchObject({ collections: [{ extra: 1, repaired: 1 }] });
    expect(await manager.verify('r')).toMatchObject({ equal: true });
  });
});
