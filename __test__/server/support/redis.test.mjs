// The Redis server as test support starts it.
import { describe, expect, it } from 'vitest';
import { startRedis } from '../../support/index.mjs';

describe('a Redis server', () => {
  it('stores values until it is stopped, and starts again on its port', async () => {
    const server = await startRedis();
    try {
      const { port } = server;
      expect(await server.command('SET key value')).toBe('+OK');
      expect(await server.command('GET key')).toBe('$5\r\nvalue');
      await server.stop();
      await expect(server.command('GET key')).rejects.toThrow();
      await server.start();
      expect(server.port).toBe(port);
      expect(await server.command('GET key')).toBe('$-1');
      await server.kill();
      await server.start();
      expect(await server.command('PING')).toBe('+PONG');
    } finally {
      await server.remove();
    }
  });

  it('wants the password it was given', async () => {
    const server = await startRedis({ password: 'p "w\\é' });
    try {
      expect(server.uri).toBe(`redis://:p%20%22w%5C%C3%A9@127.0.0.1:${server.port}`);
      expect(await server.command('PING')).toBe('+PONG');
      server.password = undefined;
      expect(await server.command('PING')).toContain('NOAUTH');
    } finally {
      await server.remove();
    }
  });
});
