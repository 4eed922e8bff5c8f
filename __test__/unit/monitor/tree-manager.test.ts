// A tree file seen as a manager.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readTreeManager } from '../../../dist/index.js';

let folder: string;
let tree: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-tree-'));
  tree = join(folder, 'tree.json');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const content = {
  replicas: { p: { m: { role: 'master', dialect: 'sqlite', uri: 'm.db', pool: { min: 2, max: 20 } } } },
  rules: { r: { source: 'p', target: 'q', mode: 'snapshot', collections: ['*'], conflictResolution: 'source-wins', enabled: true } },
  routing: { p: 'random' },
};
async function save(text: string): Promise<void> {
  await writeFile(`${tree}.new`, text);
  await rename(`${tree}.new`, tree);
}

it('tells what the file holds, with states and lag unknown', async () => {
  await save(JSON.stringify(content));
  const manager = readTreeManager({ tree });
  expect(manager.listProjects()).toEqual(['p']);
  expect(manager.getReplicaStatus('p')).toEqual([{ name: 'm', role: 'master', dialect: 'sqlite', lag: null, state: 'unknown' }]);
  expect(manager.getReplicaStatus('x')).toEqual([]);
  expect(manager.listRules()).toMatchObject([{ name: 'r', source: 'p' }]);
  expect([manager.getReadRouting('p'), manager.getReadRouting('x')]).toEqual(['random', 'round-robin']);
  expect(manager.getSyncStats('r')).toBeUndefined();
});

it('follows the file as it is replaced, keeps what it was while it is half written, and counts a missing one as empty', async () => {
  const manager = readTreeManager({ tree });
  const still = readTreeManager({ tree, watch: false });
  expect(manager.listProjects()).toEqual([]);
  await save(JSON.stringify(content));
  expect(manager.listProjects()).toEqual(['p']);
  expect(still.listProjects()).toEqual([]);
  still.refresh();
  expect(still.listProjects()).toEqual(['p']);
  await save('{"replicas": {');
  expect(manager.listProjects()).toEqual(['p']);
  await rm(tree);
  expect(manager.listProjects()).toEqual([]);
});

it('shows what can be shown of a file with sections and entries that are none', async () => {
  const manager = readTreeManager({ tree });
  await save(JSON.stringify({ replicas: null, rules: [], routing: 3 }));
  expect([manager.listProjects(), manager.listRules(), manager.getReadRouting('p')]).toEqual([[], [], 'round-robin']);
  await save(JSON.stringify({ ...content, replicas: { p: { none: null, bare: { dialect: 'sqlite' }, ...content.replicas.p }, q: null }, rules: { none: null } }));
  expect(manager.listProjects()).toEqual(['p']);
  expect(manager.getReplicaStatus('p')).toMatchObject([{ name: 'bare', role: 'slave' }, { name: 'm', role: 'master' }]);
  expect(manager.listRules()).toEqual([]);
});

it('shows live states and stats while a service runs on the file', async () => {
  await save(JSON.stringify(content));
  const live = { name: 'm', role: 'master', dialect: 'sqlite', status: 'connected' };
  const status = { writtenAt: Date.now(), pid: 1, replicas: { p: [live] }, stats: { r: { recordsSynced: 3 } } };
  await writeFile(`${tree}.status.json`, JSON.stringify(status));
  const manager = readTreeManager({ tree });
  expect(manager.getReplicaStatus('p')).toEqual([live]);
  expect(manager.getSyncStats('r')).toEqual({ recordsSynced: 3 });
  await writeFile(`${tree}.status.json`, JSON.stringify({ ...status, writtenAt: Date.now() - 60_000 }));
  expect(manager.getReplicaStatus('p')).toMatchObject([{ state: 'unknown' }]);
});
