// Events of the manager: when they come, and that listeners cannot harm it.
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { ReplicationManager } from 'replicaverse';
import type { IDialect, ReplicationRuleConfig } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
let manager: ReplicationManager;
let uncaught: unknown[];
const catchAll = (error: unknown) => { uncaught.push(error); };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-events-'));
  manager = new ReplicationManager();
  uncaught = [];
  process.on('uncaughtException', catchAll).on('unhandledRejection', catchAll);
});
afterEach(async () => {
  process.off('uncaughtException', catchAll).off('unhandledRejection', catchAll);
  await manager.disconnectAll();
  await rm(folder, { recursive: true });
});

async function ends(): Promise<void> {
  for (const project of ['a', 'b']) await manager.addReplica(project, { name: 'm', role: 'master', dialect: 'sqlite', uri: join(folder, `${project}.db`) }, []);
  await sql('a').executeRun('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  await sql('a').executeRun('INSERT INTO t VALUES (1), (2)');
}

function sql(project: string): IDialect {
  const service = manager.resolveWriteService(project);
  if (!service) throw new Error(`no master in ${project}`);
  return service.dialect;
}

const rule: ReplicationRuleConfig = { name: 'r', source: 'a', target: 'b', mode: 'snapshot', collections: ['t'] };

describe('rule.sync.start', () => {
  it('does not come for a rule that is unknown or switched off', async () => {
    const started: string[] = [];
    manager.on('rule.sync.start', (event) => started.push(event.rule));
    await expect(manager.sync('nobody')).rejects.toThrow('introuvable');
    manager.addReplicationRule({ ...rule, enabled: false });
    await expect(manager.sync('r')).rejects.toThrow('desactivee');
    expect(started).toEqual([]);
    manager.removeReplicationRule('r');
    manager.addReplicationRule(rule);
    await expect(manager.sync('r')).rejects.toThrow('Pas de master connecte');
    expect(started).toEqual(['r']);
  });
});

describe('a listener that throws', () => {
  it('keeps neither the manager from its work nor other listeners from hearing of it', async () => {
    const errors: unknown[] = [];
    const heard: string[] = [];
    manager.on('error', (error) => errors.push(error));
    for (const event of ['replica.added', 'rule.added', 'rule.sync.start', 'rule.sync.progress', 'rule.sync.done', 'rule.removed', 'replica.removed'] as const) {
      manager.on(event, () => { throw new Error(event); });
      manager.on(event, () => { heard.push(event); });
    }
    // An application may pass an async function although nobody awaits it.
    const rejecting: unknown = () => Promise.reject(new Error('asynchronous'));
    manager.on('rule.sync.done', rejecting as () => void);
    await ends();
    manager.addReplicationRule(rule);
    expect(await manager.sync('r')).toMatchObject({ recordsSynced: 2, errors: 0 });
    manager.removeReplicationRule('r');
    await manager.removeReplica('b', 'm');
    expect(new Set(heard)).toEqual(new Set(['replica.added', 'rule.added', 'rule.sync.start', 'rule.sync.progress', 'rule.sync.done', 'rule.removed', 'replica.removed']));
    await expect.poll(() => errors.map(String)).toContain('Error: asynchronous');
    expect(errors.map(String)).toContain('Error: rule.sync.progress');
    expect(uncaught).toEqual([]);
  });

  it('becomes a warning of the process when nobody listens for errors', async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error) => { warnings.push(warning); };
    process.on('warning', listener);
    manager.on('rule.added', () => { throw new Error('in a listener'); });
    manager.addReplicationRule(rule);
    await expect.poll(() => warnings.map(({ message }) => message)).toContain('in a listener');
    process.off('warning', listener);
    expect(uncaught).toEqual([]);
  });
});

describe('a run that rejects', () => {
  it('leaves stats in which its error is counted, and the cursor where it was', async () => {
    await ends();
    manager.addReplicationRule(rule);
    await manager.sync('r');
    const cursor = manager.getSyncCursor('r');
    await manager.removeReplica('b', 'm');
    await expect(manager.sync('r')).rejects.toMatchObject({ code: 'ERR_NO_MASTER' });
    const stats = manager.getSyncStats('r');
    expect(stats).toMatchObject({ ruleName: 'r', recordsSynced: 0, errors: 1, details: [] });
    expect(stats?.lastSync).toBeInstanceOf(Date);
    expect(manager.getSyncCursor('r')).toEqual(cursor);
  });
});
