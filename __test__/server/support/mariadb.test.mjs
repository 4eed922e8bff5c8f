// The MariaDB server as test support starts it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMariadb } from '../../support/index.mjs';

describe('a MariaDB server', () => {
  /** @type {Awaited<ReturnType<typeof startMariadb>>} */
  let server;
  beforeAll(async () => {
    server = await startMariadb({ password: "o'clock \\ \"é\"" });
  });
  afterAll(() => server.remove());

  it('logs changed rows in its binlog, with global transaction ids', async () => {
    await server.sql("CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'é'), (2, NULL)");
    expect(await server.sql('SELECT * FROM item ORDER BY id')).toBe('1\té\n2\tNULL');
    expect(await server.sql('SELECT @@binlog_format, @@binlog_row_image')).toBe('ROW\tFULL');
    const events = await server.sql('SHOW BINLOG EVENTS');
    expect(events).toContain('Write_rows');
    expect(events).toContain('GTID 0-');
    // What test support itself did to prepare the server is nobody's change.
    expect(events).not.toContain('GRANT');
    expect(events).not.toContain('IDENTIFIED');
  });

  it('has no account without a password', async () => {
    expect(await server.sql('SELECT user, host FROM mysql.user ORDER BY host')).toBe('root\t%\nmariadb.sys\tlocalhost\nroot\tlocalhost');
    const { password } = server;
    server.password = '';
    await expect(server.sql('SELECT 1')).rejects.toThrow('Access denied');
    server.password = password;
  });

  it('fails with the message of the server', async () => {
    await expect(server.sql('SELECT nothing FROM nowhere')).rejects.toThrow('nowhere');
  });

  it('keeps its port and its data over a stop and over a kill', async () => {
    const { port } = server;
    await server.sql('CREATE TABLE survivor (id int); INSERT INTO survivor VALUES (1)');
    await server.stop();
    expect(server.pid).toBeUndefined();
    await server.start();
    await server.sql('INSERT INTO survivor VALUES (2)');
    await server.kill();
    await server.start();
    expect(server.port).toBe(port);
    expect(await server.sql('SELECT count(*) FROM survivor')).toBe('2');
  });
});

describe('a MariaDB server without binlog', () => {
  it('logs nothing', async () => {
    const server = await startMariadb({ binlog: false, settings: { 'max-connections': 17 } });
    try {
      expect(await server.sql('SELECT @@log_bin, @@max_connections')).toBe('0\t17');
    } finally {
      await server.remove();
    }
  });
});
