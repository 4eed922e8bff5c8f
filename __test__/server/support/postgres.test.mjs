// PostgreSQL clusters as test support starts them.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exists } from '../../../scripts/servers/cache.mjs';
import { eventually, startPostgres } from '../../support/index.mjs';

describe('a cluster with two standbys', () => {
  /** @type {Awaited<ReturnType<typeof startPostgres>>} */
  let primary;
  beforeAll(async () => {
    primary = await startPostgres({ standbys: 2, settings: { application_name: "it's" } });
  });
  afterAll(() => primary.remove());

  it('streams what is written on the primary to both', async () => {
    await primary.psql('CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, NULL), (2, $$b$$)');
    expect(primary.standbys).toHaveLength(2);
    for (const standby of primary.standbys) {
      await standby.waitUntilCaughtUp();
      expect(await standby.psql('SELECT * FROM item ORDER BY id')).toBe('1|\n2|b');
      await expect(standby.psql('DELETE FROM item')).rejects.toMatchObject({ code: '25006' });
    }
    expect(await primary.psql('SELECT application_name FROM pg_stat_replication ORDER BY 1')).toBe('standby_1\nstandby_2');
  });

  it('has the settings replication needs, and those the test asked for', async () => {
    const names = 'wal_level max_prepared_transactions max_wal_senders max_replication_slots fsync application_name';
    const values = await Promise.all(names.split(' ').map((name) => primary.psql(`SELECT setting FROM pg_settings WHERE name = '${name}'`)));
    expect(values.slice(0, 5)).toEqual(['logical', '20', '20', '20', 'off']);
    expect(await readFile(`${primary.dataDir}/postgresql.conf`, 'utf8')).toContain("application_name = 'it''s'");
  });

  it('makes further databases', async () => {
    const uri = await primary.createDatabase('odd "name"');
    expect(decodeURIComponent(new URL(uri).pathname)).toBe('/odd "name"');
    expect(await primary.psql('SELECT current_database()', 'odd "name"')).toBe('odd "name"');
  });

  it('keeps its port and its data over a stop and over a kill, and the standbys find it again', async () => {
    const { port } = primary;
    await primary.stop();
    expect(primary.pid).toBeUndefined();
    await primary.start();
    await primary.psql('CREATE TABLE survivor (id int); INSERT INTO survivor VALUES (1)');
    await primary.kill();
    await expect(primary.psql('SELECT 1')).rejects.toThrow();
    await primary.start();
    expect(primary.port).toBe(port);
    expect(await primary.psql('SELECT count(*) FROM survivor')).toBe('1');
    for (const standby of primary.standbys) await standby.waitUntilCaughtUp();
  });

  it('answers nothing while it is paused', async () => {
    const [standby] = primary.standbys;
    standby?.pause();
    let answered = false;
    const answer = standby?.psql('SELECT 1').then((text) => ((answered = true), text));
    // The other server answers, so a running server would have had its chance.
    for (let round = 0; round < 20; round += 1) await primary.psql('SELECT 1');
    expect(answered).toBe(false);
    standby?.resume();
    expect(await answer).toBe('1');
  });

  it('goes on with a promoted standby when the primary is gone', async () => {
    await primary.kill();
    const [heir] = primary.standbys;
    await heir?.promote();
    expect(await heir?.psql('INSERT INTO item VALUES (3) RETURNING id')).toBe('3');
    expect(await heir?.psql('SELECT pg_is_in_recovery()')).toBe('f');
  });
});

describe('logins', () => {
  it('are encrypted and verified with a certificate of the cluster itself', async () => {
    const server = await startPostgres({ ssl: true });
    try {
      expect(await server.psql('SHOW ssl')).toBe('on');
      expect(await readFile(server.sslCa ?? '', 'utf8')).toContain('BEGIN CERTIFICATE');
    } finally {
      await server.remove();
    }
  });

  it.each([
    ['scram-sha-256', {}],
    ['md5', { password_encryption: 'md5' }],
    ['password', {}],
  ])('by %s on the unix socket want the right password', async (method, settings) => {
    const server = await startPostgres({ hba: [`local all all ${method}`], settings, password: "o'clock \\ \"é\"" });
    try {
      expect(await server.psql('SELECT current_user')).toBe('postgres');
      server.password = 'wrong';
      await expect(server.psql('SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    } finally {
      await server.remove();
    }
  });
});

describe('a server that does not start', () => {
  it('fails with the reason the server gives, without the password', async () => {
    const failure = await startPostgres({ settings: { shared_buffers: 'plenty' }, password: 'secret' }).catch((error) => error);
    expect(failure).toBeInstanceOf(Error);
    expect(failure.message).toContain('invalid value for parameter "shared_buffers"');
    expect(failure.message).not.toContain('secret');
  });

  it('fails with the last lines of its log when it ends while starting', async () => {
    const failure = await startPostgres({ settings: { ssl: 'on', ssl_cert_file: 'nowhere.crt' } }).catch((error) => error);
    expect(failure.message).toContain('PostgreSQL ended while starting');
    expect(failure.message).toContain('nowhere.crt');
  });
});

describe('removal', () => {
  it('ends the server and its standbys and removes their folders', async () => {
    const server = await startPostgres({ standbys: 1 });
    const nodes = [server, ...server.standbys];
    await server.remove();
    for (const node of nodes) {
      expect(node.pid).toBeUndefined();
      expect(await exists(node.dataDir)).toBe(false);
    }
    await eventually(() => server.port === 0, { what: 'the release of the port' });
  });
});
