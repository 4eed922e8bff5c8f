// A dialect of the application's own is a replica like others: source, target and either side of a bidirectional rule.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registerDialect, ReplicationManager } from 'replicaverse';
import type { EntitySchema, EntityService, ReplicationRuleConfig } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import { MemoryDialect } from './memory-dialect.mjs';

const note: EntitySchema = {
  name: 'Note',
  collection: 'notes',
  fields: {
    text: { type: 'string', default: 'by default' },
    n: { type: 'number' },
    done: { type: 'boolean' },
    at: { type: 'date' },
    meta: { type: 'json' },
    tags: { type: 'array' },
  },
  relations: { author: { type: 'many-to-one', target: 'Author', joinColumn: 'authorId' } },
  indexes: [],
  timestamps: true,
  softDelete: true,
};
const author: EntitySchema = { name: 'Author', collection: 'authors', fields: {}, relations: {}, indexes: [], timestamps: false };

let databases: Databases;
let manager: ReplicationManager;
let objects: MemoryDialect[];
beforeAll(async () => {
  databases = await Databases.start();
  registerDialect('oracle', () => {
    const object = new MemoryDialect();
    objects.push(object);
    return object;
  });
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
  objects = [];
});
afterEach(() => manager.disconnectAll());

const foreign = { name: 'm', role: 'master', dialect: 'oracle', uri: 'oracle://app:s3cr3t@db/x' } as const;

async function native(project: string, dialect: 'postgres' | 'sqlite' | 'mongodb'): Promise<void> {
  await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri: await databases.create(dialect) }, [note, author]);
}

function rule(more: Partial<ReplicationRuleConfig> = {}): void {
  manager.addReplicationRule({ name: 'r', source: 'a', target: 'b', mode: 'snapshot', collections: ['Note'], ...more });
}

function service(project: string): EntityService {
  const found = manager.resolveWriteService(project);
  if (!found) throw new Error(`no master in ${project}`);
  return found;
}

function memory(): MemoryDialect {
  const [object] = objects;
  if (!object) throw new Error('no dialect was made');
  return object;
}

const rows = [
  { id: 'a', text: 'é 😀', n: 1.5, done: true, at: new Date('2024-02-29T12:34:56.789Z'), meta: { deep: [1, { at: null }] }, tags: ['x', 'y'] },
  { id: 'b', text: '', n: -0.1, done: false, at: new Date('1905-06-30T00:00:00.000Z'), meta: [], tags: [] },
  { id: 'c', text: 'plain' },
];
const all = { sort: { id: 1 }, includeDeleted: true } as const;
const quiet = { created: 0, updated: 0, deleted: 0, errors: 0 };

describe('a registered dialect', () => {
  it('serves also when the tree file could not be written, which is thrown', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'replicaverse-foreign-'));
    await mkdir(join(folder, 'gone'));
    manager.enableAutoPersist(join(folder, 'gone', 'tree.json'));
    await rm(join(folder, 'gone'), { recursive: true });
    await writeFile(join(folder, 'gone'), '');
    const added: unknown[] = [];
    manager.on('replica.added', (event) => added.push(event));
    await expect(manager.addReplica('a', foreign, [note])).rejects.toMatchObject({ code: 'ERR_TREE_FILE' });
    expect(added).toEqual([{ project: 'a', name: 'm', role: 'master' }]);
    await service('a').create('Note', { id: '1' });
    await rm(folder, { recursive: true });
  });

  it('is connected with its settings and its entities, listed under its name, and disconnected', async () => {
    await manager.addReplica('a', { ...foreign, pool: { max: 3 } }, [note, author]);
    expect(memory().config).toMatchObject({ dialect: 'oracle', uri: foreign.uri, schemaStrategy: 'update', poolSize: 3 });
    expect(memory().initialised).toEqual(['Note', 'Author']);
    expect(manager.getReplicaStatus('a')).toMatchObject([{ dialect: 'oracle', status: 'connected', schemasCount: 2 }]);
    await service('a').create('Note', { id: '1', text: 'by the service' });
    expect(await service('a').findById('Note', '1')).toMatchObject({ text: 'by the service' });
    await manager.removeReplica('a', 'm');
    expect(memory().config).toBeNull();
  });

  it('that cannot connect stays listed with its error, and its password is not shown', async () => {
    registerDialect('mssql', () => ({ connect: () => Promise.reject(Object.assign(new Error('no listener'), { code: 'ECONNREFUSED' })), find: () => Promise.resolve([]) }));
    const failed: unknown = await manager.addReplica('a', { ...foreign, dialect: 'mssql' }, [note]).catch((error: unknown) => error);
    expect(failed).toMatchObject({ kind: 'Connection', code: 'ECONNREFUSED', retryable: true });
    expect(manager.getReplicaStatus('a')).toMatchObject([{ status: 'error', error: expect.stringContaining('no listener') as string }]);
    expect(`${String(failed)}${JSON.stringify(manager.getReplicaStatus('a'))}`).not.toContain('s3cr3t');
  });

  it('that nobody registered is refused, saying how to bring one', async () => {
    await expect(manager.addReplica('a', { ...foreign, dialect: 'db2' }, [])).rejects.toThrow(/registerDialect\('db2'/);
  });
});

describe.each(['postgres', 'sqlite', 'mongodb'] as const)('between a registered dialect and %s', (dialect) => {
  it('rows arrive as they are, softly deleted ones too, and orphans go', async () => {
    await native('a', dialect);
    await manager.addReplica('b', foreign, [note, author]);
    rule();
    for (const row of rows) await service('a').create('Note', row);
    await service('a').delete('Note', 'c');
    await memory().create(note, { id: 'orphan', text: 'orphan' });
    expect(await manager.sync('r')).toMatchObject({ errors: 0, details: [{ created: 3, deleted: 1 }] });
    expect(await memory().find(note, {}, all)).toMatchObject(await service('a').findAll('Note', {}, all));
    expect((await manager.sync('r')).details).toMatchObject([{ ...quiet, skipped: 3 }]);
    expect(await manager.verify('r')).toMatchObject({ equal: true });
    await service('a').update('Note', 'a', { text: 'changed' });
    expect((await manager.sync('r')).details).toMatchObject([{ created: 0, updated: 1, skipped: 2, errors: 0 }]);
  });

  it('rows come back, and both sides can be made equal', async () => {
    await manager.addReplica('a', foreign, [note, author]);
    await native('b', dialect);
    rule({ mode: 'bidirectional' });
    for (const row of rows) await service('a').create('Note', { ...row, createdAt: new Date(1), updatedAt: new Date(1) });
    await service('b').create('Note', { id: 'd', text: 'there' });
    await service('b').create('Note', { ...rows[2], text: 'newer', updatedAt: new Date(2) });
    expect((await manager.sync('r')).details).toMatchObject([{ created: 3, updated: 1, conflicts: 1, errors: 0 }]);
    expect(await memory().find(note, { id: 'c' })).toMatchObject([{ text: 'newer' }]);
    expect(await service('b').findAll('Note', {}, all)).toMatchObject(await memory().find(note, {}, { ...all, select: ['id', 'text', 'n', 'done', 'at', 'meta', 'tags', 'updatedAt'] }));
    expect((await manager.sync('r')).details).toMatchObject([{ ...quiet, skipped: 4 }]);
  });

  it('changes can be polled', async () => {
    await manager.addReplica('a', foreign, [note, author]);
    await native('b', dialect);
    rule({ mode: 'cdc', capture: 'poll' });
    for (let n = 0; n < 2500; n += 1) await memory().create(note, { id: `row ${String(n)}`, n, createdAt: new Date(n), updatedAt: new Date(Date.UTC(2024, 0, 1) + n * 60_000) });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 2500, errors: 0 });
    await memory().update(note, 'row 7', { text: 'changed', updatedAt: new Date() });
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 1, errors: 0, details: [{ skipped: 1 }] });
    expect(await service('b').findById('Note', 'row 7')).toMatchObject({ text: 'changed' });
  });
});

describe('errors of a registered dialect', () => {
  it('about one row are counted and named, and nothing of a refused batch is doubled', async () => {
    await native('a', 'sqlite');
    await manager.addReplica('b', foreign, [note, author]);
    rule();
    for (let n = 0; n < 40; n += 1) await service('a').create('Note', { id: `row ${String(n)}`, n });
    memory().refuse = (row) => row.n === 17;
    expect((await manager.sync('r')).details).toMatchObject([{ created: 39, errors: 1, failures: [{ key: 'row 17', reason: expect.stringContaining('refused') as string }] }]);
    expect(await memory().find(note)).toHaveLength(39);
  });

  it('say that there is no log to capture changes from, and what to do', async () => {
    await manager.addReplica('a', foreign, [note, author]);
    await native('b', 'sqlite');
    for (const capture of [undefined, 'auto', 'log', 'trigger'] as const) {
      rule({ mode: 'cdc', ...(capture ? { capture } : {}) });
      await expect(manager.sync('r')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining("capture: 'poll'") as string });
      manager.removeReplicationRule('r');
    }
  });

  it('about the connection end the run, and are typed', async () => {
    await manager.addReplica('a', foreign, [note, author]);
    await native('b', 'sqlite');
    rule();
    memory().find = () => Promise.reject(Object.assign(new Error('gone away'), { code: 'ECONNRESET' }));
    await expect(manager.sync('r')).rejects.toMatchObject({ kind: 'Connection', code: 'ECONNRESET', message: expect.stringContaining('gone away') as string });
    expect(manager.getSyncStats('r')).toMatchObject({ errors: 1 });
  });

  it('of an object that ignores the order end the run instead of going on for ever', async () => {
    await manager.addReplica('a', foreign, [note, author]);
    await native('b', 'sqlite');
    rule();
    const same = Array.from({ length: 1000 }, (_, n) => ({ id: String(n) }));
    memory().find = () => Promise.resolve(same);
    expect(await manager.sync('r')).toMatchObject({ errors: expect.any(Number) as number, details: [{ failures: expect.arrayContaining([{ key: '', reason: expect.stringContaining('sort: {id: 1}') as string }]) as unknown }] });
  });
});
