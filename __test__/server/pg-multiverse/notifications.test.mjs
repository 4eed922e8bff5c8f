// Notifications that come to pinned clients, and the loss of a client that waits for them.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { eventually, startPostgres } from '../../support/index.mjs';
import { addressOf } from './clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {PgMultiverse} */
let db;
/** @type {import('replicaverse/pg-multiverse').PooledClient} */
let client;
/** @type {import('replicaverse/pg-multiverse').Notification[]} */
let heard;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());
beforeEach(async () => {
  db = new PgMultiverse();
  await db.initialize({ main: { schemas: ['public'], primary: addressOf(server.uri), connectionPool: { max: 2 } } });
  client = await db.getConnection();
  heard = [];
});
afterEach(() => db.close());

describe('a pinned client that listens', () => {
  it('hears what other sessions send, while it is idle and while it is at work', async () => {
    client.on('notification', (message) => heard.push(message));
    await client.query('LISTEN news');
    await db.query("SELECT pg_notify('news', 'first')");
    await eventually(async () => expect(heard).toHaveLength(1));
    expect(heard[0]).toEqual({ channel: 'news', payload: 'first', processId: expect.any(Number) });
    await client.query("NOTIFY news, 'own'");
    await eventually(async () => expect(heard.map(({ payload }) => payload)).toEqual(['first', 'own']));
    expect(heard[1]?.processId).toBe(client.processID);
    const slow = client.query('SELECT pg_sleep(0.2)');
    for (let i = 0; i < 2000; i++) await db.query('SELECT pg_notify($1, $2)', ['news', String(i)]);
    await slow;
    await eventually(async () => expect(heard).toHaveLength(2002));
    expect(heard.slice(2).map(({ payload }) => Number(payload))).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    client.release();
  });

  it('hears nothing more once it is released, and neither does who is given its connection', async () => {
    client.on('notification', (message) => heard.push(message));
    await client.query('LISTEN news');
    const process = client.processID;
    client.release();
    let next = await db.getConnection();
    const others = [];
    while (next.processID !== process) {
      others.push(next);
      next = await db.getConnection();
    }
    next.on('notification', (message) => heard.push(message));
    await next.query("NOTIFY news, 'unheard'");
    await next.query('LISTEN other');
    await next.query("NOTIFY other, 'heard'");
    await eventually(async () => expect(heard.map(({ payload }) => payload)).toEqual(['heard']));
    for (const each of [next, ...others]) each.release();
  });

  it('is told when its connection is lost', async () => {
    /** @type {string[]} */
    const told = [];
    client.on('error', (error) => told.push(`${/** @type {any} */ (error).code}`));
    client.on('end', () => told.push('end'));
    await client.query('LISTEN news');
    await server.psql(`SELECT pg_terminate_backend(${client.processID})`);
    await eventually(async () => expect(told).toEqual(['ERR_CONNECTION', 'end']));
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    client.release();
  });

  it('is not disturbed by a listener that throws', async () => {
    /** @type {Error[]} */
    const errors = [];
    client.on('error', (error) => errors.push(error));
    client.on('notification', () => {
      throw new Error('of the listener');
    });
    client.on('notification', (message) => heard.push(message));
    await client.query('LISTEN news');
    await client.query("NOTIFY news, 'a'");
    await eventually(async () => expect([heard.length, errors.map(({ message }) => message)]).toEqual([1, ['of the listener']]));
    client.release();
  });

  it('keeps its process alive until it is released', async () => {
    const script = fileURLToPath(new URL('listening-process.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, server.uri], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await eventually(async () => expect(said).toContain('listening'));
    await db.query("SELECT pg_notify('farewell', 'now')");
    expect(await ended).toBe(0);
    expect(said).toContain('heard now');
  });
});
