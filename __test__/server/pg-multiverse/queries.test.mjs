// Queries of PgMultiverse beyond their results: streams, time limits, cancelling, parsers, events and figures.
import { tracingChannel } from 'node:diagnostics_channel';
import { performance } from 'node:perf_hooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DatabaseError, PgMultiverse, setTypeParser, types } from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../support/index.mjs';
import { addressOf } from './clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {PgMultiverse} */
let db;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());
beforeEach(async () => {
  db = new PgMultiverse();
  await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), connectionPool: { max: 4 } } });
});
afterEach(() => db.close());

/** @param {string} marker in the text of a statement */
async function running(marker) {
  const own = 'pid <> pg_backend_pid()';
  return Number(await server.psql(`SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND ${own} AND query LIKE '%${marker}%'`));
}

describe('a stream', () => {
  it('gives all rows in their order', async () => {
    let next = 1;
    for await (const row of db.queryStream('SELECT i FROM generate_series(1, $1::int) i', [50_000])) expect(row.i).toBe(next++);
    expect(next).toBe(50_001);
  });

  it('gives lists of values when asked', async () => {
    const rows = [];
    for await (const row of db.queryStream("SELECT 1, 'a' FROM generate_series(1, 2)", [], { rowMode: 'array', batchSize: 1 })) rows.push(row);
    expect(rows).toEqual([[1, 'a'], [1, 'a']]);
  });

  it('does not fetch what nobody reads', async () => {
    const stream = db.queryStream("SELECT i, repeat('x', 1000) AS filler FROM generate_series(1, 100000) i /* unread */");
    expect((await stream.next()).value).toMatchObject({ i: 1 });
    // The server waits until it can send: it writes to the client.
    const waits = () => server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%unread%'");
    await eventually(async () => expect(await waits()).toBe('1'));
    const before = process.memoryUsage().external + process.memoryUsage().heapUsed;
    let count = 1;
    for await (const row of stream) count += row.filler.length === 1000 ? 1 : 0;
    expect(count).toBe(100_000);
    expect(process.memoryUsage().external + process.memoryUsage().heapUsed - before).toBeLessThan(90_000_000);
  });

  it('that is left early ends on the server', async () => {
    for await (const row of db.queryStream('SELECT i, pg_sleep(0.001) FROM generate_series(1, 1000000) i /* left early */', [], { batchSize: 10 })) {
      if (row.i > 3) break;
    }
    await eventually(async () => expect(await running('left early')).toBe(0));
    expect((await db.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  });

  it('that is left early is told as no failure', async () => {
    /** @type {unknown[]} */
    const told = [];
    /** @type {import('replicaverse/pg-multiverse').QueryTrace[]} */
    const ended = [];
    const listener = (/** @type {any} */ trace) => ended.push(trace);
    const channel = tracingChannel('replicaverse:query');
    channel.asyncEnd.subscribe(listener);
    db.on('queryError', (event) => told.push(event));
    try {
      for await (const row of db.queryStream('SELECT i FROM generate_series(1, 1000000) i')) if (row.i > 3) break;
      await eventually(() => expect(ended).toHaveLength(1));
    } finally {
      channel.asyncEnd.unsubscribe(listener);
    }
    expect(ended).toEqual([expect.not.objectContaining({ error: expect.anything() })]);
    expect(told).toEqual([]);
  });

  it('fails where its statement fails, after the rows before that', async () => {
    /** @type {number[]} */
    const seen = [];
    const read = async () => {
      for await (const row of db.queryStream('SELECT 10 / (20000 - i) AS q, i FROM generate_series(1, 30000) i')) seen.push(row.i);
    };
    await expect(read()).rejects.toMatchObject({ code: '22012' });
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).toEqual(seen.map((_, at) => at + 1));
  });
});

describe('a query that is no longer wanted', () => {
  it('is cancelled on the server by its signal, and the promise tells why', async () => {
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const query = db.query('SELECT pg_sleep(60) /* aborted */', [], { signal: controller.signal });
    await eventually(async () => expect(await running('aborted')).toBe(1));
    controller.abort(reason);
    await expect(query).rejects.toBe(reason);
    await eventually(async () => expect(await running('aborted')).toBe(0));
  });

  it('is not sent if its signal had been given before', async () => {
    await expect(db.query('SELECT 1', [], { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('is cancelled when its time is up', async () => {
    await expect(db.query('SELECT pg_sleep(60) /* too slow */', [], { timeout: 50 })).rejects.toMatchObject({ code: 'ERR_TIMEOUT', kind: 'Timeout' });
    await eventually(async () => expect(await running('too slow')).toBe(0));
    expect((await db.query('SELECT 1 AS a', [], { timeout: 5000 })).rows).toEqual([{ a: 1 }]);
  });
});

describe('parsers of types', () => {
  const INT4 = 23;
  const JSONB = 3802;

  it('of an instance take the text, also of what would come in binary', async () => {
    db.setTypeParser(INT4, (text) => `int ${text}`);
    db.setTypeParser(JSONB, 'text', (text) => `json ${text}`);
    for (let turn = 0; turn < 3; turn += 1) {
      expect((await db.query("SELECT 5 AS i, '{}'::jsonb AS j, 6::int2 AS s")).rows).toEqual([{ i: 'int 5', j: 'json {}', s: 6 }]);
    }
  });

  it('of all instances may be set at any time', async () => {
    const text = "SELECT '2020-01-01'::timestamptz AS t, 12::int8 AS b";
    for (let turn = 0; turn < 3; turn += 1) expect((await db.query(text)).rows[0]).toEqual({ t: expect.any(Date), b: '12' });
    const [time, bigint] = [1184, 20].map((oid) => types.getTypeParser(/** @type {never} */ (oid)));
    try {
      setTypeParser(1184, (value) => value);
      PgMultiverse.setTypeParser(20, Number);
      for (let turn = 0; turn < 3; turn += 1) expect((await db.query(text)).rows[0]).toEqual({ t: '2020-01-01 00:00:00+00', b: 12 });
    } finally {
      setTypeParser(1184, time);
      setTypeParser(20, bigint);
    }
    expect((await db.query(text)).rows[0]).toEqual({ t: expect.any(Date), b: '12' });
  });

  it('that throw make the query fail with what they throw, and nothing else', async () => {
    const error = new Error('cannot parse');
    db.setTypeParser(25, () => {
      throw error;
    });
    await expect(db.query("SELECT 'x'::text")).rejects.toBe(error);
    expect((await db.query('SELECT 1 AS a')).rows).toEqual([{ a: 1 }]);
  });
});

it('a result has fields of its own', async () => {
  for (let at = 0; at < 3; at += 1) {
    const { fields } = await db.query('SELECT 1 AS user_id');
    expect(fields).toMatchObject([{ name: 'user_id', dataTypeID: 23, format: 'text' }]);
    for (const field of fields) field.name = 'userId';
  }
});

describe('a pinned client', () => {
  it('keeps its session until it is released, and leaves no trace of it', async () => {
    const client = await db.getConnection();
    await client.query('BEGIN');
    await client.query("SET application_name = 'pinned'; CREATE TEMPORARY TABLE own (a int)");
    const { rows } = await client.query("SELECT pg_backend_pid() AS pid, current_setting('application_name') AS name");
    expect(rows).toEqual([{ pid: client.processID, name: 'pinned' }]);
    client.release();
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(() => client.release()).toThrow('already been released');
    const names = await Promise.all(Array.from({ length: 20 }, () => db.query("SELECT current_setting('application_name') AS name, to_regclass('own') AS own")));
    expect(new Set(names.map((result) => JSON.stringify(result.rows)))).toEqual(new Set(['[{"name":"","own":null}]']));
  });

  it('runs its statements in their order', async () => {
    const client = await db.getConnection();
    const results = await Promise.all(Array.from({ length: 200 }, (_, at) => client.query('SELECT $1::int AS at, pg_backend_pid() AS pid', [at])));
    client.release();
    expect(results.map(({ rows }) => rows[0].at)).toEqual(results.map((_, at) => at));
    expect(new Set(results.map(({ rows }) => rows[0].pid)).size).toBe(1);
  });
});

describe('events and figures', () => {
  it('tell of queries while somebody listens', async () => {
    /** @type {any[]} */
    const told = [];
    const listener = (/** @type {any} */ event) => told.push(event);
    db.on('queryExecuted', listener);
    db.on('queryError', listener);
    await db.query('SELECT $1::int', [1]);
    const error = await db.query('SELECT 1 / 0').catch((thrown) => thrown);
    expect(error).toBeInstanceOf(DatabaseError);
    db.off('queryExecuted', listener);
    db.off('queryError', listener);
    await db.query('SELECT 2');
    expect(told).toEqual([
      { sql: 'SELECT $1::int', params: [1], duration: expect.any(Number), clusterId: 'main' },
      { sql: 'SELECT 1 / 0', params: [], error, clusterId: expect.any(String) },
    ]);
  });

  it('count what was done', async () => {
    await db.query('SELECT 1');
    await db.query('CREATE TABLE IF NOT EXISTS counted (a int)');
    await db.query('SELECT 1 / 0').catch(() => undefined);
    const metrics = db.getMetrics();
    expect(metrics.clusters['main']?.queries).toMatchObject({ total: 3, reads: 1, writes: 1, errors: 1 });
    expect(metrics.totalQueries).toBe(3);
    expect(metrics.errorRate).toBeCloseTo(100 / 3);
    expect(metrics.clusters['main']?.connections.max).toBe(4);
  });

  it('tell the health of each cluster', async () => {
    const health = await db.healthCheck();
    expect(health).toMatchObject({ main: { clusterId: 'main', healthy: true, failureCount: 0, lastCheck: expect.any(Date) } });
  });
});

describe('large results', () => {
  it('leave the event loop its turns', async () => {
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    }, 1);
    const turns = { count: 0 };
    const counter = setInterval(() => (turns.count += 1), 1);
    const { rows } = await db.query("SELECT i, i::text AS t, now() AS n, 'some text' AS s FROM generate_series(1, 200000) i");
    clearInterval(timer);
    clearInterval(counter);
    expect(rows).toHaveLength(200_000);
    // It came in many turns, whatever each of them took on this machine.
    expect(turns.count).toBeGreaterThan(5);
  });
});

it('10,000 queries at once are all answered, each with its own', async () => {
  const results = await Promise.all(Array.from({ length: 10_000 }, (_, at) => db.query('SELECT $1::int AS a', [at])));
  expect(results.every(({ rows }, at) => rows[0].a === at)).toBe(true);
});

it('a parameter that cannot be written fails its query alone', async () => {
  const refuses = {
    toJSON() {
      throw new Error('no');
    },
  };
  const [first, second] = await Promise.allSettled([db.query('SELECT $1::text', [refuses]), db.query('SELECT 1 AS a')]);
  expect(first).toMatchObject({ status: 'rejected', reason: { message: 'no' } });
  expect(second).toMatchObject({ status: 'fulfilled', value: { rows: [{ a: 1 }] } });
});

it('wrong arguments are refused', async () => {
  await expect(db.query(/** @type {never} */ (undefined))).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  await expect(db.query('SELECT 1', /** @type {never} */ ('x'))).rejects.toThrow('Query values must be an array');
  await expect(db.query('SELECT 1', [], /** @type {never} */ (() => undefined))).rejects.toThrow('options: expected an object');
  await expect(db.query('SELECT 1', [], /** @type {never} */ ('main'))).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  await expect(db.query('SELECT 1', [], { readPreference: /** @type {never} */ ('nearest') })).rejects.toThrow('readPreference: expected replica, primary, any');
  await expect(db.query('SELECT 1', [], { timeout: -1 })).rejects.toThrow('timeout');
  await expect(db.query('SELECT 1', [], { clusterId: 'missing' })).rejects.toThrow('Cluster not found: missing');
  await expect(db.query('SELECT 1', [], { schema: 'missing' })).rejects.toThrow('No cluster configured for schema: missing');
});
