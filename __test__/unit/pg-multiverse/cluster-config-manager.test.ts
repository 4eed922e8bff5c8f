// The configuration of clusters in a file: read, refused, saved, followed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterConfigManager } from '../../../dist/pg-multiverse.js';

const server = { host: 'db.example', port: 5432, database: 'app', user: 'app', password: 'secret' };
const users = { schemas: ['users', 'auth'], primary: server, replicas: [server] };
const shop = { schemas: ['shop'], primary: server, replicas: [server] };

let folder: string;
let path: string;
let manager: ClusterConfigManager;

/** Writes the file as an editor might, in one go. */
function write(config: unknown): void {
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-config-'));
  path = join(folder, 'clusters.json');
  manager = new ClusterConfigManager(path);
});

afterEach(() => {
  manager.close();
  rmSync(folder, { recursive: true });
});

describe('reading', () => {
  it('gives the clusters of the file and tells of them', async () => {
    write({ users, shop });
    const told: unknown[] = [];
    manager.on('configLoaded', (config) => told.push(config));
    expect(await manager.loadConfig()).toEqual({ users, shop });
    expect(told).toEqual([{ users, shop }]);
    expect(manager.getClusters()).toEqual(['users', 'shop']);
    expect(manager.getClusterConfig('shop')).toEqual(shop);
    expect(manager.getClusterConfig('toString')).toBeUndefined();
    expect(manager.getClusterForSchema('auth')).toBe('users');
    expect(manager.getClusterForSchema('nowhere')).toBeUndefined();
  });

  it('takes clusters that stand beside other things', async () => {
    write({ clusters: { users }, migrations: {} });
    expect(Object.keys(await manager.loadConfig())).toEqual(['users']);
  });

  it('needs a path', async () => {
    const without = new ClusterConfigManager();
    await expect(without.loadConfig()).rejects.toThrow('No config path provided');
    await expect(without.saveConfig({ users })).rejects.toThrow('No config path provided');
  });

  it('says which file cannot be read, and why', async () => {
    await expect(manager.loadConfig()).rejects.toThrow(`Failed to load config from ${path}: ENOENT`);
    write('{"users": ');
    await expect(manager.loadConfig()).rejects.toThrow(`Failed to load config from ${path}: `);
  });

  it('refuses what cannot be used with every reason, and keeps the configuration in force', async () => {
    write({ users });
    await manager.loadConfig();
    write({ users: { ...users, primary: { ...server, port: 70000, host: '' } } });
    const refused: string[] = [];
    const errors: unknown[] = [];
    manager.on('validationError', (reasons) => refused.push(...reasons));
    manager.on('error', (error) => errors.push(error));
    await expect(manager.loadConfig()).rejects.toThrow('Config validation failed: users.primary.host: host is required');
    expect(refused).toHaveLength(2);
    expect(refused[1]).toBe('users.primary.port: port must be a number between 1 and 65535');
    expect(errors).toHaveLength(1);
    expect(manager.getConfig()).toEqual({ users });
  });
});

describe('checking', () => {
  it('finds errors and doubts in the configuration in force', async () => {
    expect(manager.validate().errors[0]).toContain('No clusters configured');
    write({ users: { schemas: [], primary: { ...server, hots: 'x' } } });
    await manager.loadConfig();
    expect(manager.validate()).toEqual({
      valid: true,
      errors: [],
      warnings: [
        'users.primary.hots: unknown option, is ignored; did you mean host?',
        'Cluster users: No replicas configured - no read scaling available',
        'Cluster users: Empty schemas array',
      ],
    });
  });

  it('tells of a schema that two clusters have with the same priority', async () => {
    write({ users });
    await manager.loadConfig();
    manager.mapSchemaToCluster('shop', 'users');
    await expect(manager.saveConfig({ users: { ...users, schemas: ['shop'] }, shop })).rejects.toThrow('Duplicate schemas found: shop');
  });
});

describe('changing', () => {
  it('adds schemas to clusters and takes them away, in memory', async () => {
    write({ users });
    await manager.loadConfig();
    manager.mapSchemaToCluster('logs', 'users', { cacheStrategy: 'none' });
    expect(manager.getClusterForSchema('logs')).toBe('users');
    expect(manager.getClusterConfig('users')?.schemaOptions).toEqual({ logs: { cacheStrategy: 'none' } });
    manager.unmapSchemaFromCluster('logs', 'users');
    manager.unmapSchemaFromCluster('logs', 'nowhere');
    expect(manager.getConfig()).toEqual({ users });
    expect(() => manager.mapSchemaToCluster('logs', 'nowhere')).toThrow('Cluster nowhere not found in config');
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ users });
  });

  it('saves a checked configuration whole, and leaves nothing else behind', async () => {
    const saved: string[] = [];
    manager.on('configSaved', (to) => saved.push(to));
    await manager.saveConfig({ users });
    const other = join(folder, 'other.json');
    await manager.saveConfig({ shop }, other);
    expect(saved).toEqual([path, other]);
    expect(await readFile(path, 'utf8')).toBe(`${JSON.stringify({ users }, null, 2)}\n`);
    expect(manager.getClusters()).toEqual(['shop']);
    await expect(manager.saveConfig({ shop: { schemas: [] } })).rejects.toThrow(
      `Failed to save config to ${path}: Config validation failed: shop.primary: No primary connection configured`,
    );
    expect(manager.getClusters()).toEqual(['shop']);
    expect((await readdir(folder)).sort()).toEqual(['clusters.json', 'other.json']);
  });
});

describe('following', () => {
  it('reads the file again when it has changed', async () => {
    write({ users });
    await manager.loadConfig();
    const changed = once(manager, 'configChanged');
    write({ users, shop });
    await changed;
    expect(manager.getClusters()).toEqual(['users', 'shop']);
  });

  it('tells why a changed file is refused, and goes on following it', async () => {
    write({ users });
    await manager.loadConfig();
    const failed = once(manager, 'error');
    // `once` of node:events rejects on `error` unless that is the event it waits for.
    write({ users: {} });
    expect(String((await failed)[0])).toContain('users.primary: No primary connection configured');
    expect(manager.getConfig()).toEqual({ users });
    const changed = once(manager, 'configChanged');
    write({ shop });
    await changed;
    expect(manager.getClusters()).toEqual(['shop']);
  });

  it('stops when it is told to', async () => {
    write({ users });
    await manager.loadConfig();
    manager.stopWatching();
    let changes = 0;
    manager.on('configChanged', () => (changes += 1));
    write({ shop });
    // Another manager of the same file sees the change; by then this one would have seen it, too.
    const other = new ClusterConfigManager(path);
    await other.loadConfig();
    const seen = once(other, 'configChanged');
    write({ users, shop });
    await seen;
    other.close();
    expect(changes).toBe(0);
    expect(manager.getClusters()).toEqual(['users']);
  });
});
