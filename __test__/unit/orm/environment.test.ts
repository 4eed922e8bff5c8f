// Configuration from the environment, with and without a profile, and the dialects that it may name.
import { getConfigFromEnv, getCurrentDialectType, getCurrentProfile, getDialect, getDialectConfig, getEnv, getEnvBool, getEnvNumber, getSupportedDialects, testConnection } from 'replicaverse';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

beforeEach(() => {
  for (const key of ['MOSTA_ENV', 'DB_DIALECT', 'SGBD_URI']) vi.stubEnv(key, undefined);
});

afterEach(() => vi.unstubAllEnvs());

const set = (variables: Record<string, string>) => {
  for (const [key, value] of Object.entries(variables)) vi.stubEnv(key, value);
};

test('the settings are read by their names', () => {
  set({ DB_DIALECT: 'postgres', SGBD_URI: 'postgres://h/db', DB_SCHEMA_STRATEGY: 'update', DB_POOL_SIZE: '7', DB_TABLE_PREFIX: 't_', DB_HIGHLIGHT_SQL: 'true', DB_SHOW_SQL: 'TRUE', DB_FORMAT_SQL: '1' });
  expect(getConfigFromEnv()).toEqual({
    dialect: 'postgres',
    uri: 'postgres://h/db',
    schemaStrategy: 'update',
    poolSize: 7,
    tablePrefix: 't_',
    highlightSql: true,
    showSql: true,
    formatSql: false,
  });
});

test('what is not set is left to the defaults, and tables are not touched', () => {
  set({ DB_DIALECT: 'sqlite', SGBD_URI: ':memory:', DB_POOL_SIZE: 'many', DB_TABLE_PREFIX: '' });
  expect(getConfigFromEnv()).toEqual({ dialect: 'sqlite', uri: ':memory:', schemaStrategy: 'none', showSql: false, formatSql: false });
});

test('a profile comes before the plain names, which come before the fallback', () => {
  set({ MOSTA_ENV: ' TEST ', TEST_DB_DIALECT: 'sqlite', DB_DIALECT: 'postgres', SGBD_URI: 'x', TEST_SGBD_URI: '' });
  expect(getCurrentProfile()).toBe('TEST');
  expect(getConfigFromEnv()).toMatchObject({ dialect: 'sqlite', uri: 'x' });
  expect(getEnv('REPLICAVERSE_NOT_SET', 'fallback')).toBe('fallback');
  expect(getEnv('REPLICAVERSE_NOT_SET')).toBeUndefined();
});

test('a missing variable is named, with the profile', async () => {
  expect(() => getConfigFromEnv()).toThrow(/DB_DIALECT is not defined in environment\nSupported: .*sqlite/);
  set({ MOSTA_ENV: 'PROD', DB_DIALECT: 'sqlite' });
  expect(() => getConfigFromEnv()).toThrow(
    'SGBD_URI is not defined in environment\nActive profile: MOSTA_ENV=PROD — expected PROD_SGBD_URI or SGBD_URI\nDB_DIALECT=sqlite requires',
  );
  await expect(getDialect()).rejects.toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining('SGBD_URI is not defined') });
  expect(await testConnection()).toMatchObject({ ok: false, error: expect.stringContaining('SGBD_URI') });
});

test('flags and numbers are read strictly', () => {
  set({ FLAG_A: 'True', FLAG_B: '1', NUMBER_A: '2.5', NUMBER_B: 'Infinity', NUMBER_C: '' });
  expect([getEnvBool('FLAG_A'), getEnvBool('FLAG_B'), getEnvBool('FLAG_C'), getEnvBool('FLAG_C', true)]).toEqual([true, false, false, true]);
  expect([getEnvNumber('NUMBER_A'), getEnvNumber('NUMBER_B', 4), getEnvNumber('NUMBER_C')]).toEqual([2.5, 4, undefined]);
});

test('the current dialect is that of the environment until there is a connection', () => {
  expect(getCurrentDialectType()).toBe('mongodb');
  set({ DB_DIALECT: 'sqlite' });
  expect(getCurrentDialectType()).toBe('sqlite');
});

test('all thirteen dialects are known by name', () => {
  expect(getSupportedDialects()).toEqual(
    expect.arrayContaining(['mongodb', 'sqlite', 'postgres', 'mysql', 'mariadb', 'oracle', 'mssql', 'cockroachdb', 'db2', 'hana', 'hsqldb', 'spanner', 'sybase']),
  );
  expect(getDialectConfig('postgres')).toEqual({ label: 'PostgreSQL', installHint: '' });
  expect(getDialectConfig('hana').installHint).toContain('registerDialect');
  expect(() => getDialectConfig('dbase')).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_DIALECT', message: expect.stringContaining('Unknown dialect "dbase". Supported: ') }));
  expect(() => getDialectConfig('postgres://u:s3cret@h/d')).toThrow('Unknown dialect "postgres://u:***@h/d"');
});
