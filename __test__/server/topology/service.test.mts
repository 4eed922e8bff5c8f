// The scaffolded service as a process of its own: it reconnects the tree, runs its rules, and ends in order.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createIsolatedDialect, readTreeManager, scaffoldMonitorService, scaffoldReplicatorService } from 'replicaverse';
import type { SyncStats } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/index.mjs';

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));

let folder: string;
let running: ChildProcess[];
beforeEach(async () => {
  running = [];
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-service-'));
  await mkdir(join(folder, 'node_modules'));
  await mkdir(join(folder, '.mostajs'));
  await symlink(PACKAGE, join(folder, 'node_modules', 'replicaverse'), 'dir');
  const replica = (name: string): object => ({ role: 'master', dialect: 'sqlite', uri: join(folder, `${name}.db`), pool: { min: 1, max: 2 } });
  const rule = { source: 'p', target: 'q', mode: 'snapshot', collections: ['*'], conflictResolution: 'source-wins', enabled: true };
  const tree = { replicas: { p: { m: replica('source') }, q: { m: { ...replica('target'), uri: '${TARGET_FILE}' } } }, rules: { copy: rule }, routing: {} };
  await writeFile(join(folder, '.mostajs', 'replicator-tree.json'), JSON.stringify(tree));
  await writeFile(join(folder, '.mostajs', 'config.env'), `TARGET_FILE=${join(folder, 'target.db')}\n`);
  await change('source', 'CREATE TABLE things (id INTEGER PRIMARY KEY)', 'INSERT INTO things VALUES (1)');
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

async function change(name: string, ...statements: string[]): Promise<void> {
  const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: join(folder, `${name}.db`), schemaStrategy: 'none' });
  for (const statement of statements) await dialect.executeRun(statement);
  await dialect.disconnect();
}

async function rowsOfTarget(): Promise<unknown[]> {
  const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: join(folder, 'target.db'), schemaStrategy: 'none' });
  try {
    return await dialect.executeQuery('SELECT id FROM things ORDER BY id');
  } finally {
    await dialect.disconnect();
  }
}

function start(file: string, args: string[] = [], environment: Record<string, string> = {}): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [file, ...args], { cwd: folder, env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  return { child, output: () => text };
}

interface ServiceStatus {
  pid: number;
  instances: Record<string, number>;
  stats: Record<string, SyncStats>;
}

/** Whichever of two instances has written the status file, it tells of the run of the one that runs the rule. */
async function toldByBoth(run: object): Promise<void> {
  const tree = join(folder, '.mostajs', 'replicator-tree.json');
  const writers = new Set<number>();
  await eventually(async () => {
    const { pid, instances, stats } = JSON.parse(await readFile(`${tree}.status.json`, 'utf8')) as ServiceStatus;
    if (Object.keys(instances).length < 2) return false;
    expect(stats['copy']?.details).toMatchObject([run]);
    writers.add(pid);
    return writers.size === 2;
  });
}

it('runs every rule at its interval, sees what is new, tells the dashboard, and ends with 0 on SIGTERM', async () => {
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const { child, output } = start(path, [], { REPLICATOR_INTERVAL_MS: '50' });
  await eventually(() => output().includes('sync copy: created=1 updated=0 deleted=0 errors=0'), { deadlineMs: 30_000, what: output() });
  await change('source', 'INSERT INTO things VALUES (2)', 'CREATE TABLE others (id INTEGER PRIMARY KEY)', 'INSERT INTO others VALUES (7)');
  await eventually(async () => (await rowsOfTarget()).length === 2);
  const tree = join(folder, '.mostajs', 'replicator-tree.json');
  const manager = readTreeManager({ tree });
  await eventually(() => manager.getReplicaStatus('p')[0]?.status === 'connected');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(output()).toContain('shutting down (SIGTERM)');
  expect(existsSync(`${tree}.status.json`)).toBe(false);
});

it('goes on with what it has while its tree file is half written, takes it up again, and warns of no leak after many passes', async () => {
  const tree = join(folder, '.mostajs', 'replicator-tree.json');
  const content = await readFile(tree, 'utf8');
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const { child, output } = start(path, [], { REPLICATOR_INTERVAL_MS: '20' });
  const passes = (): number => output().split('sync copy:').length - 1;
  await eventually(() => passes() > 0, { deadlineMs: 30_000, what: output() });
  await writeFile(tree, content.slice(0, 20));
  await eventually(() => /error: .*replicator-tree\.json/.test(output()), { what: output() });
  await change('source', 'INSERT INTO things VALUES (2)');
  await eventually(async () => (await rowsOfTarget()).length === 2);
  await writeFile(tree, content.replace('"copy":', '"again":'));
  await eventually(() => output().includes('sync again:'), { what: output() });
  const before = passes();
  await eventually(() => passes() > before + 12, { what: output() });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(output()).not.toContain('Warning');
});

it('ends with 1 when its tree file is malformed from the start', async () => {
  await writeFile(join(folder, '.mostajs', 'replicator-tree.json'), '{"replicas": {');
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const { child, output } = start(path);
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(output()).toContain('replicator-tree.json');
});

it('with --once ends after one pass, quietly if asked, and with 1 when something failed', async () => {
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const first = start(path, ['--once'], { REPLICATOR_QUIET: '1' });
  expect(await once(first.child, 'exit')).toEqual([0, null]);
  expect([first.output(), await rowsOfTarget()]).toEqual(['', [{ id: 1 }]]);
  const second = start(path, ['--once'], { TARGET_FILE: join(folder, 'no', 'such', 'folder', 'x.db'), REPLICATOR_LOG: 'json' });
  expect(await once(second.child, 'exit')).toEqual([1, null]);
  const errors = second.output().trim().split('\n').map((line) => JSON.parse(line) as { level: string; message: string });
  expect(errors).toContainEqual(expect.objectContaining({ level: 'error', message: expect.stringContaining('replica q/m:') }));
});

describe('with a rule of mode cdc', () => {
  beforeEach(async () => {
    const tree = join(folder, '.mostajs', 'replicator-tree.json');
    const content = JSON.parse(await readFile(tree, 'utf8')) as { rules: Record<string, { mode: string }> };
    for (const rule of Object.values(content.rules)) rule.mode = 'cdc';
    await writeFile(tree, JSON.stringify(content));
  });

  it('streams it, tells its health and true figures, those of the first copy included, and ends with 0 on SIGTERM', async () => {
    const { path } = scaffoldReplicatorService({ projectDir: folder });
    const { child, output } = start(path, [], { REPLICATOR_INTERVAL_MS: '100', REPLICATOR_HEALTH_PORT: '0', REPLICATOR_LOG: 'json' });
    const url = await eventually(() => /http:[^"]+health/.exec(output())?.[0], { deadlineMs: 30_000, what: output() });
    await eventually(() => output().includes('"stream copy: streaming"'), { deadlineMs: 30_000, what: output() });
    expect(await eventually(async () => (await fetch(url)).status === 200)).toBe(true);
    expect(await (await fetch(url)).json()).toMatchObject({ ok: true, problems: [], lastPass: expect.any(Number) });
    expect((await fetch(url.replace('/health', '/other'))).status).toBe(404);
    await change('source', 'INSERT INTO things VALUES (2), (3)', 'DELETE FROM things WHERE id = 1');
    await eventually(async () => JSON.stringify(await rowsOfTarget()) === '[{"id":2},{"id":3}]');
    const figures = (name: string): number =>
      output().trim().split('\n').map((line) => JSON.parse(line) as Record<string, number>).reduce((sum, line) => sum + (line[name] ?? 0), 0);
    await eventually(() => figures('created') === 3 && figures('deleted') === 1, { what: output() });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('of two instances one is active, and the other takes over; both may be cron jobs meanwhile', async () => {
    const { path } = scaffoldReplicatorService({ projectDir: folder });
    const environment = { REPLICATOR_INTERVAL_MS: '100' };
    const first = start(path, [], environment);
    await eventually(() => first.output().includes('stream copy: streaming'), { deadlineMs: 30_000, what: first.output() });
    const second = start(path, [], environment);
    await eventually(() => second.output().includes('another instance streams this rule'), { deadlineMs: 30_000, what: second.output() });
    const job = start(path, ['--once']);
    expect(await once(job.child, 'exit')).toEqual([0, null]);
    await toldByBoth({ created: 1 });
    first.child.kill('SIGKILL');
    await eventually(() => second.output().includes('stream copy: streaming'), { deadlineMs: 30_000, what: second.output() });
    await change('source', 'INSERT INTO things VALUES (9)');
    await eventually(async () => (await rowsOfTarget()).length === 2);
    second.child.kill('SIGTERM');
    expect(await once(second.child, 'exit')).toEqual([0, null]);
  });
});

it('of two instances one runs the rules at intervals', async () => {
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const first = start(path, [], { REPLICATOR_INTERVAL_MS: '100' });
  await eventually(() => first.output().includes('sync copy: created=1'), { deadlineMs: 30_000, what: first.output() });
  const second = start(path, [], { REPLICATOR_INTERVAL_MS: '100' });
  await eventually(() => second.output().includes('another instance runs this rule'), { deadlineMs: 30_000, what: second.output() });
  await toldByBoth({ skipped: 1 });
  first.child.kill('SIGTERM');
  expect(await once(first.child, 'exit')).toEqual([0, null]);
  await eventually(() => second.output().includes('sync copy: created=0'), { deadlineMs: 30_000, what: second.output() });
  second.child.kill('SIGTERM');
  expect(await once(second.child, 'exit')).toEqual([0, null]);
  expect(existsSync(`${join(folder, '.mostajs', 'replicator-tree.json')}.status.json`)).toBe(false);
});

it('ends with 0 on SIGTERM also where it can neither write nor remove its status file', async () => {
  await mkdir(join(folder, '.mostajs', 'replicator-tree.json.status.json'));
  const { path } = scaffoldReplicatorService({ projectDir: folder });
  const { child, output } = start(path, [], { REPLICATOR_INTERVAL_MS: '100' });
  await eventually(() => output().includes('the status file cannot be written'), { deadlineMs: 30_000, what: output() });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(output()).toContain('the status file cannot be removed');
});

it('the scaffolded dashboard shows the tree file and ends on SIGTERM', async () => {
  const { path } = scaffoldMonitorService({ projectDir: folder });
  const { child, output } = start(path, [], { MONITOR_PORT: '0', MONITOR_TOKEN: 'secret-of-the-test' });
  const url = await eventually(() => /http:\S+/.exec(output())?.[0], { deadlineMs: 30_000 });
  const answer = await fetch(`${url}/api/replicas`, { headers: { authorization: 'Bearer secret-of-the-test' } });
  expect(await answer.json()).toMatchObject({ p: [{ name: 'm', role: 'master', state: 'unknown' }] });
  expect(output()).not.toContain('secret-of-the-test');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
