// A cache that follows the log: nobody says what has changed, and nothing stays old.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import PgMultiverse from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical' } });
  await server.psql('CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock SELECT id, 0 FROM generate_series(1, 5) id');
});
afterAll(() => server.remove());

describe("a cache with invalidate: 'wal'", () => {
  it('drops what any commit has touched, and serves the rest', async () => {
    const db = new PgMultiverse({ cache: { invalidate: 'wal', ttl: 0 } });
    await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri) } });
    const ask = async (/** @type {number} */ id) => (await db.query('SELECT n FROM stock WHERE id = $1', [id], { cache: true })).rows[0].n;
    const hits = () => db.getMetrics().cache?.hits ?? 0;
    const fromCache = async (/** @type {number} */ id) => {
      const before = hits();
      await ask(id);
      return hits() > before;
    };
    await eventually(() => db.getMetrics().clusters.main?.cache.followsLog);
    await eventually(() => fromCache(1));
    await eventually(() => fromCache(2));
    await server.psql('UPDATE stock SET n = 7 WHERE id = 1');
    await eventually(async () => (await ask(1)) === 7);
    expect(await fromCache(2)).toBe(true);
    await eventually(() => fromCache(1));
    await db.close();
  });

  it('publishes no table whose updates the server would refuse then, and lets go of one that becomes so', async () => {
    await server.psql(`
      CREATE TABLE seat (place int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); INSERT INTO seat VALUES (1), (2);
      CREATE TABLE tag (id int NOT NULL, CONSTRAINT tag_id UNIQUE (id)); ALTER TABLE tag REPLICA IDENTITY USING INDEX tag_id; INSERT INTO tag VALUES (1)
    `);
    const published = async () => (await server.psql("SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables WHERE tablename IN ('seat', 'tag')")).trim();
    const db = new PgMultiverse({ cache: { invalidate: 'wal', ttl: 0 } });
    await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri) } });
    await eventually(async () => (await published()) === 'tag');
    await server.psql('UPDATE seat SET place = 3 - place');
    await server.psql('ALTER TABLE tag DROP CONSTRAINT tag_id');
    await eventually(async () => (await published()) === '');
    await server.psql('UPDATE tag SET id = 2');
    await db.close();
  });

  it('says what is missing, and caches nothing', async () => {
    const plain = await startPostgres({ settings: { wal_level: 'replica' } });
    try {
      const db = new PgMultiverse({ cache: { invalidate: 'wal' } });
      /** @type {any[]} */
      const errors = [];
      db.on('error', (error) => errors.push(error));
      await db.initialize({ main: { primary: addressOf(plain.uri) } });
      await eventually(() => errors.length > 0);
      expect(errors[0]).toMatchObject({ code: 'ERR_CAPTURE', retryable: true, message: expect.stringContaining('set wal_level = logical') });
      for (let at = 0; at < 5; at += 1) await db.query('SELECT 1 AS n', [], { cache: true });
      expect(db.getMetrics().cache?.hits).toBe(0);
      await db.close();
    } finally {
      await plain.remove();
    }
  });

  it('is not for results in Redis', () => {
    expect(() => new PgMultiverse({ cache: { provider: 'redis', invalidate: 'wal' } })).toThrow("invalidate: 'wal' is for the provider 'memory'");
  });
});
