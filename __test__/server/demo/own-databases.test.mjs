// The demo on databases of the user's own: mirrors, asks first, refuses what cannot be meant, and shows no password.
import { MongoClient } from 'mongodb';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMongo, startPostgres } from '../../support/index.mjs';
import { DemoFolder } from './demo-process.mjs';

const PASSWORD = 'pa55-never-shown';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let postgres;
/** @type {Awaited<ReturnType<typeof startMongo>>} */
let mongo;
/** @type {DemoFolder} */
let folder;
beforeAll(async () => {
  [postgres, mongo, folder] = await Promise.all([startPostgres({ password: PASSWORD }), startMongo({ database: 'mine' }), DemoFolder.make()]);
  await postgres.psql(`
    CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, joined timestamptz);
    INSERT INTO users SELECT n, 'user ' || n, '2024-01-01 00:00:00.123456+00'::timestamptz FROM generate_series(1, 500) AS n;
    CREATE TABLE orders (id integer PRIMARY KEY, total numeric);
    INSERT INTO orders VALUES (1, 9.99);`);
});
afterAll(() => Promise.all([postgres.remove(), mongo.remove(), folder.remove()]));

/** @param {readonly string[]} args */
async function runDemo(args) {
  const outcome = await folder.run(args);
  expect(outcome.stdout + outcome.stderr).not.toContain(PASSWORD);
  return { ...outcome, lastLine: outcome.stdout.trim().split('\n').at(-1) };
}

describe('the demo between databases of the user', () => {
  it('mirrors to all targets, and says beforehand what it does', async () => {
    const file = path.join(folder.path, 'several.db');
    const { code, stdout, lastLine } = await runDemo(['--source', postgres.uri, '--target', mongo.uri, '--target', file]);
    expect(stdout.indexOf('are DELETED')).toBeLessThan(stdout.indexOf('Replicating'));
    expect(lastLine).toBe(`Verdict: 501 rows in 2 tables are equal on MongoDB mine on localhost:${mongo.port} and SQLite ${file}.`);
    expect(code).toBe(0);
    // MongoDB keeps milliseconds, and what that costs is told.
    expect(stdout).toMatch(/converted users\.joined: .* \(500 rows\)/);
    const client = new MongoClient(mongo.uri);
    try {
      expect(await client.db().collection('users').countDocuments()).toBe(500);
    } finally {
      await client.close();
    }
  });

  it('takes only the tables that are asked for', async () => {
    const file = path.join(folder.path, 'one-table.db');
    const { lastLine } = await runDemo(['--source', postgres.uri, '--target', file, '--tables', 'orders']);
    expect(lastLine).toBe(`Verdict: 1 row in 1 table is equal on SQLite ${file}.`);
  });

  it('takes SQLite as the source as well', async () => {
    const first = path.join(folder.path, 'first.db');
    const second = path.join(folder.path, 'second.db');
    await runDemo(['--source', postgres.uri, '--target', first]);
    const { code, lastLine } = await runDemo(['--source', `sqlite:${first}`, '--target', `file:${second}`]);
    expect(lastLine).toBe(`Verdict: 501 rows in 2 tables are equal on SQLite ${second}.`);
    expect(code).toBe(0);
  });

  it('changes a target that is not empty only with consent', async () => {
    const target = await postgres.createDatabase('target');
    await postgres.psql("CREATE TABLE users (id integer PRIMARY KEY, name text); INSERT INTO users VALUES (9999, 'only here')", 'target');
    const ids = () => postgres.psql('SELECT count(*), max(id) FROM users', 'target');
    const args = ['--source', postgres.uri, '--target', target];

    const refused = await runDemo(args);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('is not empty: it holds 1 table (users).');
    expect(refused.stderr).toContain('give --yes');
    expect(await ids()).toBe('1|9999');

    const agreed = await runDemo([...args, '--yes']);
    expect(agreed.lastLine).toContain('501 rows in 2 tables are equal');
    expect(agreed.code).toBe(0);
    expect(await ids()).toBe('500|500');
  });

  it('fails when a table that is asked for does not exist', async () => {
    const file = path.join(folder.path, 'missing-table.db');
    const { code, lastLine } = await runDemo(['--source', postgres.uri, '--target', file, '--tables', 'orders,nowhere']);
    expect(lastLine).toMatch(/NOT EQUAL .* 1 error on SQLite/);
    expect(code).toBe(1);
  });

  it('refuses to mirror a database to itself', async () => {
    const { code, stderr } = await runDemo(['--source', postgres.uri, '--target', postgres.uri.replace('127.0.0.1', 'localhost')]);
    expect(stderr).toContain('source and target are the same database');
    expect(code).toBe(1);
  });

  it('names the database that cannot be reached', async () => {
    const unreachable = `postgresql://postgres:${PASSWORD}@127.0.0.1:1/app`;
    const { code, stderr } = await runDemo(['--source', unreachable, '--target', path.join(folder.path, 'unused.db')]);
    expect(stderr).toMatch(/^PostgreSQL app on localhost:1 cannot be used: /);
    expect(code).toBe(1);
  });

  it('names the database that refuses the password', async () => {
    const wrong = postgres.uri.replace(PASSWORD, `${PASSWORD}-wrong`);
    const { code, stderr } = await runDemo(['--source', wrong, '--target', path.join(folder.path, 'unused.db')]);
    expect(stderr).toMatch(/^PostgreSQL app on localhost:\d+ cannot be used: /);
    expect(code).toBe(1);
  });
});
