// ProjectManager on SQLite files: projects are connected, changed, persisted and loaded, without losing or leaking anything.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIsolatedDialect, ReplicationManager } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { ProjectManager } from 'replicaverse/mproject';
import type { ProjectConfig } from 'replicaverse/mproject';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const item: EntityDeclaration = { name: 'Item', fields: { name: { type: 'string' } } };
const SECRET = 'postgres://user:hunter2@127.0.0.1:1/db';

let folder: string;
let projects: ProjectManager;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-'));
  projects = new ProjectManager();
});

afterEach(async () => {
  await projects.disconnectAll();
  await rm(folder, { recursive: true, force: true });
});

const project = (name: string, rest: Partial<ProjectConfig> = {}): ProjectConfig => ({
  name,
  dialect: 'sqlite',
  uri: join(folder, `${name}.db`),
  schemas: [item],
  ...rest,
});
const file = () => join(folder, 'tree', 'projects.json');

describe('projects', () => {
  test('are connected, listed without secrets, and serve their entities', async () => {
    await projects.addProject(project('a', { pool: { max: 3 } }));
    expect(projects.size).toBe(1);
    expect(projects.hasProject('a')).toBe(true);
    expect(projects.getProject('a')).toMatchObject({ name: 'a', dialectType: 'sqlite', status: 'connected', schemas: [{ name: 'Item' }] });
    expect(projects.getProject('a')?.dialect?.dialectType).toBe('sqlite');
    expect(projects.listProjects()).toEqual([
      { name: 'a', dialect: 'sqlite', uri: join(folder, 'a.db'), status: 'connected', schemasCount: 1, pool: { min: 2, max: 3 }, schemaStrategy: 'update', isDefault: false },
    ]);
    expect(projects.getPoolStats()).toEqual([{ name: 'a', dialect: 'sqlite', status: 'connected', poolMin: 2, poolMax: 3 }]);
    const service = projects.resolveEntityService('a');
    await service?.create('Item', { id: '1', name: 'x' });
    expect(await projects.resolveEntityService('a')?.count('Item')).toBe(1);
  });

  test('have names of their own, also while they connect', async () => {
    const [first, second] = await Promise.allSettled([projects.addProject(project('a')), projects.addProject(project('a'))]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ reason: { message: 'Projet "a" existe deja', code: 'ERR_DUPLICATE_PROJECT' } });
  });

  test('that cannot be connected are not added, and say why without the password', async () => {
    const error: unknown = await projects.addProject(project('a', { dialect: 'postgres', uri: SECRET })).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ReplicaverseError' });
    expect((error as Error).stack).not.toContain('hunter2');
    expect(projects.hasProject('a')).toBe(false);
    expect(projects.getProject('a')).toBeUndefined();
    expect(projects.resolveEntityService('a')).toBeNull();
  });

  test('are changed as a whole or not at all', async () => {
    await projects.addProject(project('a'));
    await projects.resolveEntityService('a')?.create('Item', { id: '1' });
    await expect(projects.updateProject('a', { dialect: 'oracle' })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    expect(await projects.resolveEntityService('a')?.count('Item')).toBe(1);
    const former = projects.getProject('a')?.dialect;
    await projects.updateProject('a', { uri: join(folder, 'other.db') });
    expect(await projects.resolveEntityService('a')?.count('Item')).toBe(0);
    expect(await former?.testConnection()).toBe(false);
    await expect(projects.updateProject('a', { name: 'b' })).rejects.toThrow('its name cannot be changed');
  });

  test('are removed with their connections', async () => {
    await projects.addProject(project('a'));
    const dialect = projects.getProject('a')?.dialect;
    await projects.removeProject('a');
    expect(await dialect?.testConnection()).toBe(false);
    for (const use of [() => projects.removeProject('a'), () => projects.updateProject('a', {})]) {
      await expect(use()).rejects.toMatchObject({ message: 'Projet "a" introuvable', code: 'ERR_UNKNOWN_PROJECT' });
    }
  });

  test('stay listed when all are disconnected, which may be done twice', async () => {
    await projects.addProject(project('a'));
    await projects.disconnectAll();
    await projects.disconnectAll();
    expect(projects.listProjects()).toMatchObject([{ name: 'a', status: 'disconnected' }]);
    expect(projects.resolveEntityService('a')).toBeNull();
  });

  test('are known to a ReplicationManager, with their entities', async () => {
    await projects.addProject(project('a'));
    const manager = new ReplicationManager(projects);
    await manager.addReplica('a', { name: 'r', role: 'master', dialect: 'sqlite', uri: join(folder, 'replica.db') });
    expect(manager.getReplicaStatus('a')).toMatchObject([{ schemasCount: 1 }]);
    await expect(manager.addReplica('b', { name: 'r', role: 'master', dialect: 'sqlite', uri: ':memory:' })).rejects.toThrow('introuvable dans ProjectManager');
    await manager.disconnectAll();
  });

  test.each([
    [undefined, 'project: expected an object'],
    [{ name: 'a', uri: 'x' }, 'project.dialect: a value is required'],
    [{ name: '', dialect: 'sqlite', uri: 'x' }, 'project.name: a value is required'],
    [{ name: 'a', dialect: 'sqlite' }, 'project.uri: a value is required'],
    [{ name: 'a', dialect: 'sqlite', uri: 'x', schemas: {} }, 'project.schemas: expected a list'],
  ])('%j is refused', async (config, message) => {
    await expect(projects.addProject(config as ProjectConfig)).rejects.toMatchObject({ message: expect.stringContaining(message), code: 'ERR_CONFIG' });
  });
});

describe('the default project', () => {
  test('is a connection of the application, which stays open, and can be given again', async () => {
    const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: ':memory:' }, [item]);
    projects.setDefault('default', dialect, []);
    projects.setDefault('default', dialect, [item]);
    expect(projects.size).toBe(1);
    expect(projects.listProjects()).toMatchObject([{ name: 'default', isDefault: true, schemasCount: 1, status: 'connected' }]);
    await projects.resolveEntityService()?.create('Item', { id: '1' });
    expect(await projects.resolveEntityService('default')?.count('Item')).toBe(1);
    await projects.updateProject('default', { schemas: [item, { name: 'Other' }] });
    expect(projects.getProject('default')?.schemas).toHaveLength(2);
    await expect(projects.updateProject('default', { uri: 'x' })).rejects.toThrow('only the schemas');
    projects.setDefault('main', dialect);
    expect(projects.hasProject('default')).toBe(false);
    await projects.removeProject('main');
    await projects.disconnectAll();
    expect(await dialect.testConnection()).toBe(true);
    await dialect.disconnect();
  });

  test('takes no name of another project', async () => {
    await projects.addProject(project('a'));
    const dialect = projects.getProject('a')?.dialect;
    expect(() => projects.setDefault('a', dialect!)).toThrow('existe deja');
  });
});

describe('the file', () => {
  test('is written after every change, and gives the projects back with their entities', async () => {
    projects.enableAutoPersist(file());
    await expect(stat(file())).rejects.toThrow('ENOENT');
    await projects.addProject(project('a'));
    await projects.addProject(project('b'));
    await projects.removeProject('b');
    await projects.resolveEntityService('a')?.create('Item', { id: '1' });
    await projects.disconnectAll();
    const again = new ProjectManager();
    expect(await again.loadFromFile(file())).toEqual({ loaded: ['a'], failed: [], kept: [] });
    expect(await again.resolveEntityService('a')?.count('Item')).toBe(1);
    expect(await again.loadFromFile(file())).toEqual({ loaded: [], failed: [], kept: ['a'] });
    await again.disconnectAll();
  });

  test('that cannot be written keeps a change from being made', async () => {
    await projects.addProject(project('a'));
    await projects.addProject(project('b'));
    await writeFile(join(folder, 'tree'), 'in the way of the folder');
    projects.enableAutoPersist(file());
    const unwritten = { code: 'ERR_PROJECT_FILE', message: expect.stringContaining('cannot be written') };
    await expect(projects.addProject(project('c'))).rejects.toMatchObject(unwritten);
    await expect(projects.removeProject('a')).rejects.toMatchObject(unwritten);
    await expect(projects.updateProject('a', { schemas: [] })).rejects.toMatchObject(unwritten);
    expect(projects.listProjects()).toMatchObject([{ name: 'a', schemasCount: 1 }, { name: 'b' }]);
    await projects.resolveEntityService('a')?.create('Item', { id: '1' });
    await rm(join(folder, 'tree'));
    await projects.addProject(project('c'));
    expect(Object.keys(JSON.parse(await readFile(file(), 'utf8')))).toEqual(['a', 'b', 'c']);
  });

  test('keeps projects that cannot be connected, with the reason', async () => {
    await writeFile(join(folder, 'p.json'), JSON.stringify({ projects: { down: { dialect: 'postgres', uri: SECRET }, up: { dialect: 'sqlite', uri: ':memory:' } } }));
    projects.enableAutoPersist(file());
    const outcome = await projects.loadFromFile(join(folder, 'p.json'));
    expect(outcome).toMatchObject({ loaded: ['up'], failed: [{ name: 'down', error: expect.any(String) }] });
    expect(projects.listProjects()[0]).toMatchObject({ name: 'down', status: 'error', error: expect.any(String), uri: 'postgres://user:***@127.0.0.1:1/db' });
    expect(JSON.stringify([outcome, projects.listProjects()])).not.toContain('hunter2');
    const written = JSON.parse(await readFile(file(), 'utf8'));
    expect(written.down.uri).toBe('postgres://user:***@127.0.0.1:1/db');
  });

  test('may name its schemas by their file, and call a project "projects"', async () => {
    await writeFile(join(folder, 'items.json'), JSON.stringify([{ name: 'Item', collection: 'items', fields: { n: { type: 'number' } } }]));
    await writeFile(join(folder, 'p.json'), JSON.stringify({ projects: { dialect: 'sqlite', uri: ':memory:', schemas: 'items.json' } }));
    expect(await projects.loadFromFile(join(folder, 'p.json'))).toMatchObject({ loaded: ['projects'] });
    expect(projects.getProject('projects')?.schemas).toMatchObject([{ name: 'Item' }]);
    await projects.resolveEntityService('projects')?.create('Item', { n: 1 });
    projects.saveToFile(file());
    expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({ projects: { dialect: 'sqlite', schemas: [{ name: 'Item' }] } });
    await writeFile(join(folder, 'p.json'), JSON.stringify({ a: { dialect: 'sqlite', uri: ':memory:', schemas: 'none.json' } }));
    await expect(projects.loadFromFile(join(folder, 'p.json'))).rejects.toMatchObject({ code: 'ERR_PROJECT_FILE' });
  });

  test('without passwords says which project needs its URI again', async () => {
    await writeFile(join(folder, 'p.json'), JSON.stringify({ masked: { dialect: 'postgres', uri: 'postgres://user:***@h/db' } }));
    const { failed } = await projects.loadFromFile(join(folder, 'p.json'));
    expect(failed).toMatchObject([{ name: 'masked', error: expect.stringContaining("updateProject('masked', {uri})") }]);
    await projects.updateProject('masked', { dialect: 'sqlite', uri: ':memory:' });
    expect(projects.listProjects()).toMatchObject([{ status: 'connected' }]);
  });

  test('keeps a password that it already held, and those it is asked to, readable for its owner only', async () => {
    await writeFile(join(folder, 'p.json'), JSON.stringify({ projects: { down: { dialect: 'postgres', uri: SECRET } } }));
    projects.enableAutoPersist(join(folder, 'p.json'));
    await projects.loadFromFile(join(folder, 'p.json'));
    expect(await readFile(join(folder, 'p.json'), 'utf8')).toContain('hunter2');
    projects.saveToFile(file());
    expect(await readFile(file(), 'utf8')).not.toContain('hunter2');
    projects.saveToFile(file(), { passwords: 'keep' });
    expect(await readFile(file(), 'utf8')).toContain('hunter2');
    expect((await stat(file())).mode & 0o077).toBe(0);
  });

  test.each([
    ['{', 'cannot be read'],
    ['5', 'is no file of projects'],
    ['{"a": 1}', '"a" is no object'],
    ['{"a": {"dialect": "sqlite"}}', '"a" has no uri'],
    ['{"a": {"dialect": "sqlite", "uri": "x", "schemas": 5}}', 'the schemas of "a"'],
  ])('with %s is refused whole', async (text, message) => {
    await writeFile(join(folder, 'p.json'), text);
    await expect(projects.loadFromFile(join(folder, 'p.json'))).rejects.toMatchObject({ code: 'ERR_PROJECT_FILE', message: expect.stringContaining(message) });
    expect(projects.size).toBe(0);
  });
});
