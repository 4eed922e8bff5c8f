// Finding servers: what the environment names is used, and nothing else instead.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { describeMissing, ensureServers, requireServer, serverEnvironment } from '../../../scripts/servers/index.mjs';

afterEach(() => vi.unstubAllEnvs());

describe('a server that the environment names wrongly', () => {
  it.each(/** @type {const} */ ([
    ['postgres', 'PG_BIN'],
    ['mongodb', 'MONGOD_BINARY'],
    ['mariadb', 'MARIADBD'],
    ['redis', 'REDIS_SERVER'],
  ]))('is missing, with its variable as the reason: %s', async (server, variable) => {
    vi.stubEnv('MONGODB_URI', '');
    vi.stubEnv(variable, '/nowhere/at/all');
    const found = await ensureServers({ need: [server] });
    expect(found[server]).toBeUndefined();
    expect(found.missing).toHaveLength(1);
    expect(found.missing[0]?.server).toBe(server);
    expect(found.missing[0]?.reason).toContain(`${variable} is /nowhere/at/all`);
    expect(found.missing[0]?.fix).toContain('install');
    const text = describeMissing(found.missing);
    expect(text).toContain(`missing server: ${server}`);
    await expect(requireServer(server)).rejects.toThrow(text);
  });
});

describe('a running MongoDB', () => {
  it('is taken from MONGODB_URI and passed on', async () => {
    vi.stubEnv('MONGODB_URI', 'mongodb://db.example:27017/?replicaSet=rs0');
    const found = await ensureServers({ need: ['mongodb'] });
    expect(found.missing).toEqual([]);
    expect(found.mongodb?.uri).toBe('mongodb://db.example:27017/?replicaSet=rs0');
    expect(serverEnvironment(found)).toEqual({ MONGODB_URI: 'mongodb://db.example:27017/?replicaSet=rs0' });
  });
});

describe('the description of missing servers', () => {
  it('is empty when nothing is missing', () => {
    expect(describeMissing([])).toBe('');
  });
});
