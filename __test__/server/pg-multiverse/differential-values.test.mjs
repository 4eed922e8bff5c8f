// Values of every built-in type are exactly those of node-postgres: the first time, when they come as text, and later.
import { spawn } from 'node:child_process';
import { deepStrictEqual } from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '../../support/index.mjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Clients } from './clients.mjs';
import { literalsOf, VALUES } from './generated-values.mjs';

const EACH = 150;

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

/**
 * @param {string | import('replicaverse/pg-multiverse').QueryConfig} query
 * @param {unknown[]} [values]
 */
async function expectSame(query, values) {
  const { theirs, first, later } = await clients.outcomes(query, values);
  expect(theirs).not.toHaveProperty('error');
  deepStrictEqual(first, theirs);
  deepStrictEqual(later, theirs);
}

describe('a column of', () => {
  for (const type of Object.keys(VALUES)) {
    it(type, async () => {
      await expectSame(`SELECT literal::${type} AS value FROM unnest($1::text[]) AS literal`, [literalsOf(type, EACH)]);
    });
  }
});

it('columns of all types stand side by side, with NULL in between', async () => {
  const columns = Object.keys(VALUES).map((type, at) => ({ name: `c${at}`, type, literals: literalsOf(type, 5) }));
  const sources = columns.map(({ literals }, at) => ({ parameter: `$${at + 1}::text[]`, literals }));
  const sql = `SELECT ${columns.map(({ name, type }) => `${name}::${type}`).join(', ')} FROM unnest(${sources.map(({ parameter }) => parameter).join(', ')}) AS t(${columns.map(({ name }) => name).join(', ')})`;
  await expectSame(sql, sources.map(({ literals }) => literals));
  await expectSame({ text: sql, rowMode: 'array' }, sources.map(({ literals }) => literals));
});

it('float4 is the number that the server writes, for every exponent and for floats half-way between short decimals', async () => {
  const floats = [];
  for (let exponent = -149; exponent < 128; exponent += 1) {
    for (let step = 0; step < 40; step += 1) floats.push(Math.fround(2 ** exponent * (1 + step / 8192)), -Math.fround(2 ** exponent * (2 - step / 8_388_608)));
  }
  for (let step = 0; step < 4000; step += 1) floats.push(67_108_864 + step * 16, 2 ** 27 + step * 8, 2 ** 30 + step * 128);
  await expectSame('SELECT v::float4 AS value FROM unnest($1::float8[]) AS v', [floats.filter(Number.isFinite)]);
});

it('ranges, composites, domains and enums are text', async () => {
  await clients.peer.query("CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS int CHECK (VALUE < 10)");
  await expectSame("SELECT ROW(1, 'a\"b')::pair AS pair, 'ok'::mood AS mood, 5::small AS small, ROW(1, NULL, now() - now()) AS record, ARRAY[ROW(1,'x')::pair] AS pairs, '{ok,sad}'::mood[] AS moods, '{1,2}'::small[] AS smalls");
});

it.each(['UTC', 'America/St_Johns', 'Asia/Calcutta', 'Europe/Berlin'])('times in a process of the zone %s, with sessions of several zones', { timeout: 120_000 }, async (zone) => {
  const program = fileURLToPath(new URL('time-zone-process.mjs', import.meta.url));
  const child = spawn(process.execPath, [program, server.uri], { env: { ...process.env, TZ: zone }, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
  await new Promise((resolve) => child.on('close', resolve));
  const { zone: actual, compared, differences } = JSON.parse(output);
  expect(differences).toEqual([]);
  expect(actual).toBe(zone);
  expect(compared).toBeGreaterThan(5000);
});
