// Results and errors are those of node-postgres, for statements of every kind.
import { deepStrictEqual } from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres } from '../../support/index.mjs';
import { Clients } from './clients.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
/** @type {Clients} */
let clients;
beforeAll(async () => {
  server = await startPostgres();
  clients = await Clients.open(server.uri);
});
afterAll(async () => {
  await clients.close();
  await server.remove();
});
beforeEach(async () => {
  await clients.peer.query(`
    DROP TABLE IF EXISTS child, item;
    CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric CHECK (price > 0));
    INSERT INTO item VALUES (1, 'a', 1.5), (2, 'b', 2);
    CREATE TABLE child (item int REFERENCES item)`);
});

/**
 * Runs a statement with each client, in a transaction that is rolled back.
 *
 * @param {string | import('replicaverse/pg-multiverse').QueryConfig} query
 * @param {unknown[]} [values]
 */
async function compare(query, values) {
  const { theirs, first, later } = await clients.outcomes(query, values);
  deepStrictEqual(first, theirs);
  deepStrictEqual(later, theirs);
  return theirs;
}

describe('the result of', () => {
  it.each([
    ['an empty statement', ''],
    ['nothing but a comment', '-- nothing'],
    ['a statement without columns', 'SELECT'],
    ['rows without columns', 'SELECT FROM generate_series(1, 3)'],
    ['no rows', 'SELECT 1 AS a WHERE false'],
    ['duplicate names', 'SELECT 1 AS a, 2 AS b, 3 AS a'],
    ['names that are numbers', 'SELECT 1 AS "2", 2 AS "1", 3 AS "0"'],
    ['a name like a prototype', 'SELECT 1 AS "__proto__", 2 AS constructor, 3 AS "toString"'],
    ['a name like code', `SELECT 1 AS "'""]\\ \${x}"`],
    ['unnamed columns', 'SELECT 1, 2'],
    ['an update', "UPDATE item SET name = 'x'"],
    ['an update that returns', "UPDATE item SET name = 'x' RETURNING *"],
    ['a delete of nothing', 'DELETE FROM item WHERE false'],
    ['an insert of several rows that returns', "WITH gone AS (DELETE FROM item) INSERT INTO child SELECT NULL FROM generate_series(1, 3) RETURNING *, 'é' AS e"],
    ['SET', "SET application_name = 'x'"],
    ['SHOW', 'SHOW server_version_num'],
    ['EXPLAIN', 'EXPLAIN (COSTS off) SELECT * FROM item'],
    ['VALUES', "VALUES (1, 'a'), (2, NULL)"],
    ['a function with columns', "SELECT * FROM pg_options_to_table(ARRAY['a=b'])"],
    ['columns of a table', 'SELECT * FROM item ORDER BY id'],
    ['several statements', 'SELECT 1 AS a; SELECT 2 AS b, 3 AS c; UPDATE item SET price = 3'],
    ['several statements, one of which is empty', 'SELECT 1;; SELECT 2'],
    ['DO', "DO $$ BEGIN PERFORM 1; END $$"],
  ])('%s', async (_, query) => {
    expect(await compare(query)).not.toHaveProperty('error');
  });

  it('a statement with values of every kind', async () => {
    const values = ['text', 1, 1.5, true, null, undefined, 12n, new Date(0), Buffer.from([1, 2]), [1, 2], { a: 1 }, ['a"', null]];
    const query = 'SELECT $1::text a, $2::int b, $3::float8 c, $4::bool d, $5::text e, $6::int f, $7::int8 g, $8::timestamptz h, $9::bytea i, $10::int[] j, $11::jsonb k, $12::text[] l';
    expect(await compare(query, values)).not.toHaveProperty('error');
  });

  it('values whose types the server infers', async () => {
    expect(await compare('SELECT * FROM item WHERE id = $1 AND name LIKE $2 AND price < $3', [1, 'a%', '2'])).not.toHaveProperty('error');
  });

  it('rows as lists', async () => {
    expect(await compare({ text: 'SELECT 1 AS a, 2 AS a, $1::text', values: ['x'], rowMode: 'array' })).not.toHaveProperty('error');
  });

  it('a transaction on a pinned connection', async () => {
    for (const text of ['BEGIN', 'INSERT INTO child VALUES (1)', 'SAVEPOINT a', 'ROLLBACK TO a', 'ROLLBACK']) await compareOnce(text);
  });

  it('30,000 rows of many types', async () => {
    await compare(`SELECT i, i::text t, i / 7.0 n, i / 7.0::float8 f, NULLIF(i % 3, 0) m, i % 2 = 0 b, '2020-01-01'::timestamptz + i * '1 min'::interval w,
      json_build_object('i', i) j, int4send(i) y, repeat('é', i % 20) u FROM generate_series(1, 30000) i`);
  });

  it('a row larger than any batch', async () => {
    await compare("SELECT repeat('x', 3000000) AS a, repeat('é', 1000000) AS b, decode(repeat('00ff', 500000), 'hex') AS c, to_json(repeat('j', 1000000)) AS d, 1 AS e");
  });
});

/** @param {string} query */
async function compareOnce(query) {
  const theirs = await clients.peer.query(query);
  const ours = await clients.pinned.query(query);
  expect([ours.command, ours.rowCount]).toEqual([theirs.command, theirs.rowCount]);
}

describe('the error of', () => {
  it.each([
    ['42601', 'SELEC 1'],
    ['42P01', 'SELECT * FROM missing'],
    ['42703', 'SELECT missing FROM item'],
    ['42883', 'SELECT missing(1)'],
    ['23505', "INSERT INTO item VALUES (1, 'x', 1)"],
    ['23502', 'INSERT INTO item VALUES (3, NULL, 1)'],
    ['23503', 'INSERT INTO child VALUES (99)'],
    ['23514', "INSERT INTO item VALUES (3, 'x', -1)"],
    ['22012', 'SELECT 1 / 0'],
    ['22P02', "SELECT 'x'::int"],
    ['22003', 'SELECT 99999999999::int4'],
    ['22007', "SELECT 'x'::date"],
    ['2201B', "SELECT 'a' ~ '('"],
    ['22023', "SELECT make_date(1, 2, 99) + set_config('x', '1', false)::int"],
    ['0A000', 'CREATE DATABASE x TEMPLATE y ENCODING z'],
    ['25001', 'VACUUM item; SELECT 1'],
    ['25P01', 'SAVEPOINT a'],
    ['26000', 'EXECUTE missing'],
    ['34000', 'FETCH ALL FROM missing'],
    ['3B001', 'ROLLBACK TO missing'],
    ['3D000', 'DROP DATABASE missing'],
    ['3F000', 'CREATE TABLE missing.t ()'],
    ['42501', 'SET SESSION AUTHORIZATION missing'],
    ['42P07', 'CREATE TABLE item ()'],
    ['42804', 'SELECT 1 UNION SELECT true'],
    ['P0001', "DO $$ BEGIN RAISE EXCEPTION 'é' USING HINT = 'h', DETAIL = 'd', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 't', TABLE = 'b', SCHEMA = 's'; END $$"],
    ['P0002', 'DO $$ DECLARE x int; BEGIN SELECT 1 INTO STRICT x WHERE false; END $$'],
    ['any within several statements', 'SELECT 1; SELECT 1 / 0; SELECT 2'],
  ])('%s', async (_, query) => {
    expect(await compare(query)).toHaveProperty('error');
  });

  it.each([
    ['22P02', 'SELECT $1::int', ['x']],
    ['42P02', 'SELECT $1', []],
    ['42P18', 'SELECT $1 IS NULL', [null]],
    ['22021', 'SELECT $1::text', ['a\0b']],
    ['22007 for a date that is none', 'SELECT $1::date', [new Date(NaN)]],
    ['several statements with values', 'SELECT $1::int; SELECT 2', [1]],
  ])('%s, with values', async (_, query, values) => {
    const theirs = await clients.outcomes(query, values);
    deepStrictEqual(theirs.first, theirs.theirs);
    deepStrictEqual(theirs.later, theirs.theirs);
  });

  it('values that are too few or too many, but for the name under which the statement is prepared', async () => {
    for (const values of [[1, 2], [1]]) {
      const { theirs, later } = await clients.outcomes('SELECT $1::int + $2::int + $3::int', values);
      expect(later.error?.code).toBe('08P01');
      expect(later.error?.message.replace(/"s\d+"/, '""')).toBe(theirs.error?.message);
    }
  });

  it('a statement in the middle of whose rows the server fails', async () => {
    expect(await compare('SELECT 1 / (5000 - i) FROM generate_series(1, 10000) i')).toHaveProperty('error');
  });
});

it('an error has the class, name and stack of one', async () => {
  const error = await clients.ours.query('SELECT 1 / 0').catch((/** @type {any} */ thrown) => thrown);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'error', code: '22012', retryable: false });
  expect(error.stack).toContain('division by zero');
});
