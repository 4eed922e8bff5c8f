// Generated statements: what a sharded cluster answers, a server with all rows answers too, or it is refused.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clauseStatement } from './clause-statements.mjs';
import { Dice } from './dice.mjs';
import { plainStatement, row } from './plain-statements.mjs';
import { ShardedShop } from './sharded-shop.mjs';
import { writeStatement } from './write-statements.mjs';

const SCHEMA = `
  CREATE TABLE a (k int NOT NULL, n int, b bigint, d numeric(12,3), f float8, t text, c text COLLATE "C", at timestamptz, day date, ok bool, u uuid);
  CREATE TABLE e (k bigint NOT NULL, n int, c text COLLATE "C");
`;
const STATEMENTS = 3000;
const TOGETHER = 16;
const WRITES = 150;

/** @type {ShardedShop} */
let shop;
/** @type {Awaited<ReturnType<ShardedShop['open']>>} */
let db;
beforeAll(async () => {
  shop = await ShardedShop.start(SCHEMA);
  db = await shop.open({ key: 'k' });
});
afterAll(async () => {
  await db.close();
  await shop.remove();
});

/** @param {{ fields: { name: string }[] }} result */
const names = ({ fields }) => fields.map(({ name }) => name);
/** @param {unknown[]} rows */
const sorted = (rows) => rows.map((row) => JSON.stringify(row)).sort();

it('are answered as by one server, or refused', async () => {
  const dice = new Dice(20_261);
  const inserts = [
    `INSERT INTO a VALUES ${Array.from({ length: 300 }, () => row(dice)).join(', ')}`,
    `INSERT INTO e VALUES ${Array.from({ length: 60 }, () => `(${dice.below(40)}, ${dice.below(6)}, '${dice.of(['x', 'y'])}')`).join(', ')}`,
  ];
  for (const sql of inserts) {
    await db.query(sql);
    await db.query(sql, [], { clusterId: 'whole' });
  }
  const counts = { equal: 0, refused: 0, failed: 0 };
  const check = async () => {
    const { sql, params, isOrdered } = dice.chance(50) ? plainStatement(dice) : clauseStatement(dice);
    const [ours, one] = await Promise.allSettled([db.query({ text: sql, values: params, rowMode: 'array' }), db.query({ text: sql, values: params, rowMode: 'array' }, undefined, { clusterId: 'whole' })]);
    const what = `${sql} ${JSON.stringify(params.map((value) => (typeof value === 'bigint' ? String(value) : value)))}`;
    if (ours.status === 'rejected') {
      const { code, message } = ours.reason;
      if (one.status === 'rejected' && one.reason.code === code) {
        counts.failed += 1;
        return;
      }
      expect({ what, message, code }).toMatchObject({ code: expect.stringMatching(/^ERR_SHARD_/) });
      counts.refused += 1;
      return;
    }
    if (one.status === 'rejected') throw new Error(`${what}: only one server refuses it`, { cause: one.reason });
    const [found, wanted] = isOrdered ? [ours.value.rows, one.value.rows] : [sorted(ours.value.rows), sorted(one.value.rows)];
    expect({ what, names: names(ours.value), rows: found, count: ours.value.rowCount }).toEqual({ what, names: names(one.value), rows: wanted, count: one.value.rowCount });
    counts.equal += 1;
  };
  for (let done = 0; done < STATEMENTS; done += TOGETHER) await Promise.all(Array.from({ length: TOGETHER }, check));
  // Otherwise nothing would be proven.
  expect(counts.equal).toBeGreaterThan(STATEMENTS / 2);
  expect(counts.refused).toBeGreaterThan(STATEMENTS / 20);
  expect(counts.failed).toBeLessThan(STATEMENTS / 20);
});

it('that write change the same rows as on one server, or are refused', async () => {
  const dice = new Dice(7);
  let refused = 0;
  for (let done = 0; done < WRITES; done += 1) {
    const { sql, params } = writeStatement(dice);
    const what = `${sql} ${JSON.stringify(params)}`;
    const ours = await db.query({ text: sql, values: params, rowMode: 'array' }).catch((error) => error);
    if (ours instanceof Error) {
      expect({ what, code: /** @type {any} */ (ours).code, message: ours.message }).toMatchObject({ code: expect.stringMatching(/^ERR_SHARD_/) });
      refused += 1;
      continue;
    }
    const one = await db.query({ text: sql, values: params, rowMode: 'array' }, undefined, { clusterId: 'whole' });
    expect({ what, rows: sorted(ours.rows), count: ours.rowCount }).toEqual({ what, rows: sorted(one.rows), count: one.rowCount });
  }
  for (const table of ['a', 'e']) {
    const query = { text: `SELECT * FROM ${table}`, rowMode: /** @type {const} */ ('array') };
    expect(sorted((await db.query(query)).rows)).toEqual(sorted((await db.query(query, undefined, { clusterId: 'whole' })).rows));
  }
  expect((await db.checkShards('main')).misplaced).toBe(0);
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(WRITES / 3);
});
