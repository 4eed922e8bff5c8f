// Connection settings that are wrong, and dialects that are not connected.
import { createIsolatedDialect, disconnectDialect, EntityService, getDialect, NativeBackedDialect, testConnection } from 'replicaverse';
import type { ConnectionConfig } from 'replicaverse';
import { expect, test } from 'vitest';

const SECRET = 'postgres://user:hunter2@localhost/db';

test.each([
  [undefined, 'config.dialect: a value is required', 'ERR_CONFIG'],
  ['sqlite', 'config: expected an object', 'ERR_CONFIG'],
  [{ dialect: 'sqlite' }, 'config.uri: a value is required', 'ERR_CONFIG'],
  [{ dialect: 'sqlite', uri: 5 }, 'config.uri: expected a string, found 5', 'ERR_CONFIG'],
  [{ dialect: 'dbase', uri: SECRET }, 'unknown dialect "dbase"', 'ERR_UNKNOWN_DIALECT'],
  [{ dialect: 'oracle', uri: SECRET }, 'there is no built-in dialect for "oracle"', 'ERR_UNSUPPORTED'],
  [{ dialect: 'postgres', uri: SECRET, schemaStrategy: 'zap' }, 'schemaStrategy: unknown value "zap"', 'ERR_CONFIG'],
  [{ dialect: 'postgres', uri: SECRET, poolSize: '5' }, 'config.poolSize: expected a whole number', 'ERR_CONFIG'],
  [{ dialect: 'postgres', uri: SECRET, pool: { max: -1 } }, 'config.pool.max: expected a whole number', 'ERR_CONFIG'],
  [{ dialect: 'postgres', uri: SECRET, pool: { min: 5, max: 1 } }, 'pool: min 5 and max 1 do not fit', 'ERR_CONFIG'],
  [{ dialect: 'postgres', uri: SECRET, tablePrefix: {} }, 'config.tablePrefix: expected a string', 'ERR_CONFIG'],
  [{ dialect: 'postgres', uri: SECRET, showSql: 'yes' }, 'config.showSql: expected true or false', 'ERR_CONFIG'],
])('%j is refused by name', async (config, message, code) => {
  const attempt = createIsolatedDialect(config as ConnectionConfig, []);
  const error: unknown = await attempt.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'ReplicaverseError', message: expect.stringContaining(message), code });
  expect((error as Error).stack).not.toContain('hunter2');
});

test('testConnection says why it does not work', async () => {
  const { ok, error } = await testConnection({ dialect: 'postgres', uri: 'postgres://u:hunter2@127.0.0.1:1/x' });
  expect(ok).toBe(false);
  expect(error).toBeTruthy();
  expect(error).not.toContain('hunter2');
});

test('a dialect that is not connected says so', async () => {
  const dialect = new NativeBackedDialect();
  expect(() => dialect.dialectType).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  await expect(dialect.find({ name: 'A' })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  expect(await dialect.testConnection()).toBe(false);
  await dialect.disconnect();
});

test('without a default connection getDialect says what to call', async () => {
  await expect(getDialect()).rejects.toThrow('call createConnection first');
  await disconnectDialect();
});

test('an error shows in its stack who made the call', async () => {
  const service = new EntityService(new NativeBackedDialect(), [{ name: 'A' }]);
  async function applicationCode(): Promise<void> {
    await service.findAll('A');
  }
  await expect(applicationCode()).rejects.toMatchObject({ stack: expect.stringContaining('applicationCode') });
});
