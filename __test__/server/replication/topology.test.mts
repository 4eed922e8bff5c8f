// Replicas, roles, routing and the tree file, with the messages that applications match.
import { readFile, writeFile } from 'node:fs/promises';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearRegistry, registerSchema, ReplicationManager } from 'replicaverse';
import type { ReplicaConfig, ReplicationRule } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
let manager: ReplicationManager;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-topology-'));
  manager = new ReplicationManager();
});
afterEach(async () => {
  await manager.disconnectAll();
  await rm(folder, { recursive: true });
});

const replica = (name: string, role: ReplicaConfig['role'], more: Partial<ReplicaConfig> = {}): ReplicaConfig => ({
  name,
  role,
  dialect: 'sqlite',
  uri: join(folder, `${name}.db`),
  ...more,
});
const rule: Omit<ReplicationRule, 'enabled'> = {
  name: 'r',
  source: 'p',
  target: 'q',
  mode: 'snapshot',
  collections: ['*'],
  conflictResolution: 'source-wins',
};

describe('replicas', () => {
  it('reads from each slave in turn and writes to the master', async () => {
    for (const [name, role] of [['m', 'master'], ['a', 'slave'], ['b', 'slave']] as const) await manager.addReplica('p', replica(name, role), []);
    const reads = [0, 1, 2, 3].map(() => manager.resolveReadService('p'));
    expect(new Set(reads.slice(0, 2)).size).toBe(2);
    expect(reads.slice(2)).toEqual(reads.slice(0, 2));
    expect(manager.resolveWriteService('p')).not.toBe(reads[0]);
    expect(manager.resolveWriteService('p')?.dialect).toHaveProperty('$transaction');
  });

  it('falls back to the master, and gives null for an unknown project', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    expect(manager.resolveReadService('p')).toBe(manager.resolveWriteService('p'));
    expect(manager.resolveReadService('x')).toBeNull();
    expect(manager.resolveWriteService('x')).toBeNull();
    expect(manager.getReplicaStatus('x')).toEqual([]);
  });

  it('have every registered schema where none are named, and none where that is said', async () => {
    const schema = { name: 'Registered', collection: 'registered', fields: { a: { type: 'string' as const } }, relations: {}, indexes: [], timestamps: false };
    registerSchema(schema);
    try {
      await manager.addReplica('p', replica('m', 'master'));
      await manager.resolveWriteService('p')?.create('Registered', { a: 'x' });
      await manager.addReplica('other', replica('m', 'master', { schemaStrategy: 'create' }), []);
      expect(manager.getReplicaStatus('other')).toMatchObject([{ schemasCount: 0 }]);
      expect(await manager.resolveWriteService('p')?.count('Registered')).toBe(1);
    } finally {
      clearRegistry();
    }
  });

  it('are refused under a name that is taken, and as a second master', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    await expect(manager.addReplica('p', replica('m', 'slave'), [])).rejects.toThrow('existe deja');
    await expect(manager.addReplica('p', replica('n', 'master'), [])).rejects.toThrow('deja un master');
    expect(manager.getReplicaStatus('p')).toHaveLength(1);
  });

  it('are refused in a project that the ProjectManager does not know', async () => {
    const strict = new ReplicationManager({ hasProject: () => false, getProject: () => undefined });
    await expect(strict.addReplica('p', replica('m', 'master'))).rejects.toThrow('introuvable dans ProjectManager');
  });

  it('stay listed with their error when they cannot be connected, and count as the master until removed', async () => {
    const bad = replica('m', 'master', { uri: join(folder, 'no', 'such', 'folder', 'm.db') });
    await expect(manager.addReplica('p', bad, [])).rejects.toMatchObject({ code: expect.any(String) });
    const [status] = manager.getReplicaStatus('p');
    expect(status).toMatchObject({ name: 'm', role: 'master', status: 'error', poolMax: 20, schemasCount: 0 });
    expect(status?.error).toBeTruthy();
    await expect(manager.addReplica('p', replica('n', 'master'), [])).rejects.toThrow('deja un master');
    await expect(manager.promoteToMaster('p', 'm')).rejects.toThrow("n'est pas connectee (status: error)");
    await manager.removeReplica('p', 'm');
    expect(manager.listProjects()).toEqual([]);
    await manager.addReplica('p', replica('n', 'master'), []);
  });

  it('that are being connected when everything is disconnected stay so', async () => {
    const adding = [manager.addReplica('p', replica('m', 'master'), []), manager.addReplica('p', replica('s', 'slave'), [])];
    const outcomes = Promise.allSettled(adding);
    await manager.disconnectAll();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ERR_REPLICA_REMOVED' });
    }
    expect(manager.getReplicaStatus('p')).toMatchObject([{ name: 'm', status: 'disconnected' }, { name: 's', status: 'disconnected' }]);
  });

  it('name an unknown dialect', async () => {
    await expect(manager.addReplica('p', replica('m', 'master', { dialect: 'dbase' as never }), [])).rejects.toThrow(/unknown dialect "dbase"/);
  });

  it('never show a password', async () => {
    const uri = 'postgres://app:s3cr3t@127.0.0.1:1/db';
    const error: unknown = await manager.addReplica('p', replica('m', 'master', { dialect: 'postgres', uri }), []).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_CONNECTION', retryable: true });
    expect(`${String(error)} ${JSON.stringify(error)} ${JSON.stringify(manager.getReplicaStatus('p'))}`).not.toContain('s3cr3t');
  });

  it('refuse settings that are no numbers, each by its name', async () => {
    const refused = (name: string): object => expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringContaining(name) });
    expect(() => { manager.setAutoFailover('p', { after: '5000' as unknown as number }); }).toThrow(refused('autoFailover.after'));
    expect(() => { manager.setAutoFailover('p', { after: Number.NaN }); }).toThrow(refused('autoFailover.after'));
    expect(() => new ReplicationManager(undefined, { lagIntervalMs: 'x' as unknown as number })).toThrow(refused('lagIntervalMs'));
    await expect(manager.addReplica('p', replica('s', 'slave', { lagTolerance: Number.NaN }), [])).rejects.toEqual(refused('lagTolerance'));
    expect(manager.getReplicaStatus('p')).toEqual([]);
  });

  it('change roles by a promotion', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    await manager.addReplica('p', replica('s', 'slave'), []);
    const slave = manager.resolveReadService('p');
    const promoted: string[] = [];
    manager.on('replica.promoted', ({ name }) => void promoted.push(name));
    await manager.promoteToMaster('p', 's');
    expect(manager.getReplicaStatus('p').map(({ name, role }) => [name, role])).toEqual([['m', 'slave'], ['s', 'master']]);
    expect(manager.resolveWriteService('p')).toBe(slave);
    await manager.promoteToMaster('p', 's');
    expect(promoted).toEqual(['s']);
    await expect(manager.promoteToMaster('p', 'x')).rejects.toThrow('introuvable');
    await expect(manager.promoteToMaster('x', 's')).rejects.toThrow("n'a pas de replicas");
  });

  it('are disconnected together, twice if need be', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    await manager.disconnectAll();
    await manager.disconnectAll();
    expect(manager.getReplicaStatus('p')).toMatchObject([{ status: 'disconnected' }]);
    expect(manager.resolveWriteService('p')).toBeNull();
  });

  it('are counted over all projects', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    await manager.addReplica('p', replica('s', 'slave'), []);
    await manager.addReplica('r', replica('m', 'master'), []);
    expect([manager.size, manager.hasReplicas('p'), manager.hasReplicas('q')]).toEqual([3, true, false]);
    await manager.removeReplica('r', 'm');
    expect(manager.size).toBe(2);
    expect(manager.getSyncStats('p/m')).toMatchObject({ ruleName: 'p/m', recordsSynced: 0, lastSync: null });
    await expect(manager.removeReplica('q', 'm')).rejects.toThrow("n'a pas de replicas");
    await expect(manager.removeReplica('p', 'x')).rejects.toThrow('introuvable');
  });
});

describe('rules', () => {
  it('are kept by name', () => {
    manager.addReplicationRule(rule);
    expect(() => { manager.addReplicationRule(rule); }).toThrow('existe deja');
    expect(manager.listRules()).toEqual([{ ...rule, enabled: true }]);
    manager.removeReplicationRule('r');
    expect(() => { manager.removeReplicationRule('r'); }).toThrow('introuvable');
    expect(manager.getSyncStats('r')).toBeUndefined();
    expect(manager.getSyncCursor('r')).toBeUndefined();
  });

  it('run only when they are known, enabled and have masters at both ends', async () => {
    await expect(manager.sync('r')).rejects.toThrow('introuvable');
    manager.addReplicationRule({ ...rule, name: 'off', enabled: false });
    await expect(manager.sync('off')).rejects.toThrow('desactivee');
    manager.addReplicationRule(rule);
    await expect(manager.sync('r')).rejects.toThrow('Pas de master connecte pour le projet source "p"');
    await manager.addReplica('p', replica('m', 'master'), []);
    await expect(manager.sync('r')).rejects.toThrow('Pas de master connecte pour le projet target "q"');
  });
});

describe('the tree file', () => {
  it('keeps replicas without their passwords, rules and routing', async () => {
    const path = join(folder, 'deep', 'tree.json');
    manager.enableAutoPersist(path);
    await manager.addReplica('p', replica('m', 'master', { lagTolerance: 500 }), []);
    await manager.addReplica('p', replica('s', 'slave', { dialect: 'postgres', uri: 'postgres://u:s3cr3t@127.0.0.1:1/d' }), []).catch(() => undefined);
    manager.addReplicationRule(rule);
    manager.setReadRouting('p', 'least-lag');
    const text = await readFile(path, 'utf8');
    expect(text).toContain('postgres://u:***@127.0.0.1:1/d');
    expect(JSON.parse(text)).toMatchObject({
      replicas: { p: { m: { role: 'master', dialect: 'sqlite', pool: { min: 2, max: 20 }, lagTolerance: 500 } } },
      rules: { r: rule },
      routing: { p: 'least-lag' },
    });

    const other = new ReplicationManager();
    other.addReplicationRule({ ...rule, collections: ['kept'] });
    other.loadFromFile(path);
    expect(other.getReadRouting('p')).toBe('least-lag');
    expect(other.listRules()).toMatchObject([{ collections: ['kept'] }]);
  });

  it('brings replicas back with secrets from the environment, and keeps those that were not connected', async () => {
    const path = join(folder, 'tree.json');
    await manager.addReplica('my shop', replica('m', 'master'), []);
    await manager.addReplica('my shop', replica('s', 'slave', { dialect: 'postgres', uri: 'postgres://u:s3cr3t@127.0.0.1:1/d' }), []).catch(() => undefined);
    manager.saveToFile(path, { secrets: 'env' });
    expect(await readFile(path, 'utf8')).toContain('"uri": "${REPLICATOR_MY_SHOP_S_URI}"');

    const other = new ReplicationManager();
    await manager.disconnectAll();
    const { connected, failed } = await other.loadFromFile(path, { connect: true });
    expect(connected).toEqual([{ project: 'my shop', name: 'm' }]);
    expect(failed).toMatchObject([{ project: 'my shop', name: 's', error: { code: 'ERR_CONFIG', message: expect.stringContaining('REPLICATOR_MY_SHOP_S_URI') } }]);
    other.enableAutoPersist(path);
    other.setReadRouting('my shop', 'random');
    expect(Object.keys(JSON.parse(await readFile(path, 'utf8')).replicas['my shop'])).toEqual(['m', 's']);
    await other.removeReplica('my shop', 's');
    expect(Object.keys(JSON.parse(await readFile(path, 'utf8')).replicas['my shop'])).toEqual(['m']);
    await other.disconnectAll();
  });

  it('that cannot be written keeps no change from being made and told, which is thrown', async () => {
    await manager.addReplica('p', replica('m', 'master'), []);
    await manager.addReplica('p', replica('s', 'slave', { feed: 'none' }), []);
    const tree = join(folder, 'gone', 'tree.json');
    await mkdir(join(folder, 'gone'));
    manager.enableAutoPersist(tree);
    await rm(join(folder, 'gone'), { recursive: true });
    await writeFile(join(folder, 'gone'), '');
    const told: string[] = [];
    for (const event of ['replica.promoted', 'replica.removed', 'rule.added', 'rule.removed'] as const) manager.on(event, () => told.push(event));
    const unwritten = expect.objectContaining({ code: 'ERR_TREE_FILE' }) as Error;
    await expect(manager.promoteToMaster('p', 's')).rejects.toEqual(unwritten);
    expect(() => { manager.addReplicationRule({ ...rule, mode: 'cdc', transform: ({ row }) => row }); }).toThrow(unwritten);
    expect(manager.listRules()).toMatchObject([{ name: 'r', transform: true }]);
    expect(() => { manager.removeReplicationRule('r'); }).toThrow(unwritten);
    await expect(manager.removeReplica('p', 'm')).rejects.toEqual(unwritten);
    expect(told).toEqual(['replica.promoted', 'rule.added', 'rule.removed', 'replica.removed']);
    await expect(manager.addReplica('p', replica('t', 'slave', { feed: 'none' }), [])).rejects.toEqual(unwritten);
    expect(manager.getReplicaStatus('p')).toMatchObject([{ name: 's', role: 'master' }, { name: 't', status: 'connected' }]);
    expect(await manager.resolveReadService('p')?.dialect.executeQuery('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(manager.resolveReadService('p')?.dialect).not.toBe(manager.resolveWriteService('p')?.dialect);
    await rm(join(folder, 'gone'));
  });

  it('may hold entries that are none, which are told by name beside those that are connected', async () => {
    const path = join(folder, 'tree.json');
    const entries = { none: null, bare: { role: 'slave', dialect: 'sqlite' }, m: { role: 'master', dialect: 'sqlite', uri: ':memory:' } };
    await writeFile(path, JSON.stringify({ replicas: { p: entries } }));
    const { connected, failed } = await manager.loadFromFile(path, { connect: true });
    expect(connected).toEqual([{ project: 'p', name: 'm' }]);
    const refused = (name: string): object => ({ name, error: { code: 'ERR_CONFIG', message: `replica "${name}" of project "p": expected an object with a text "uri"` } });
    expect(failed).toMatchObject([refused('none'), refused('bare')]);
  });

  it('that is corrupt is refused by name, and leaves the manager as it was', async () => {
    const path = join(folder, 'tree.json');
    await writeFile(path, '{"rules": {');
    expect(() => { manager.loadFromFile(path); }).toThrow(expect.objectContaining({ code: 'ERR_TREE_FILE', message: expect.stringContaining('tree.json') }));
    expect(manager.listRules()).toEqual([]);
  });
});
