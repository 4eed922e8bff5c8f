// Generated statements: what a sharded cluster answers, a server with all rows answers too, or it is refused.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ShardedShop } from './sharded-shop.mjs';

const SCHEMA = `
  CREATE TABLE a (k int NOT NULL, n int, b bigint, d numeric(12,3), f float8, t text, c text COLLATE "C", at timestamptz, day date, ok bool, u uuid);
  CREATE TABLE e (k bigint NOT NULL, n int, c text COLLATE "C");
`;
const COLUMNS = ['k', 'n', 'b', 'd', 'f', 'c', 'at', 'day', 'ok', 'u'];
const NUMBERS = ['n', 'b', 'd', 'f', 'k'];
const STATEMENTS = 2000;
const TOGETHER = 16;

/** Numbers that are the same for the same seed. */
class Dice {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed;
  }

  /** A whole number below another. @param {number} end */
  below(end) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * end);
  }

  /** @template T @param {readonly T[]} list @returns {T} */
  of(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }

  /** @param {number} percent */
  chance(percent) {
    return this.below(100) < percent;
  }
}

/** @param {Dice} dice */
function row(dice) {
  const or = (/** @type {string} */ value) => (dice.chance(15) ? 'NULL' : value);
  const text = () => `'${dice.of(['', 'a', 'B', 'ä', 'b', 'aa', 'Z', '1', '10', '9'])}'`;
  return `(${[
    dice.below(40),
    or(String(dice.below(20) - 10)),
    or(String(dice.below(5) * 3_000_000_000)),
    or((dice.below(100_000) / 1000).toFixed(dice.below(4))),
    or(String(dice.below(64) / 8)),
    or(text()),
    or(text()),
    or(`'2024-01-0${1 + dice.below(5)} 1${dice.below(10)}:00:00.00000${dice.below(3)}+00'`),
    or(`'2024-0${1 + dice.below(9)}-01'`),
    or(dice.of(['true', 'false'])),
    or(`'00000000-0000-0000-0000-00000000000${dice.of(['1', 'a', 'f'])}'`),
  ].join(', ')})`;
}

/** A condition, with what its parameters are. @param {Dice} dice @param {unknown[]} params */
function condition(dice, params) {
  const key = () => {
    if (!dice.chance(50)) return String(dice.below(45));
    params.push(dice.chance(50) ? dice.below(45) : String(dice.below(45)));
    return `$${params.length}`;
  };
  const kinds = [
    () => `a.k = ${key()}`,
    () => `a.k IN (${key()}, ${key()})`,
    () => {
      params.push([dice.below(45), dice.below(45), dice.below(45)]);
      return `a.k = ANY($${params.length})`;
    },
    () => `a.n > ${dice.below(20) - 10}`,
    () => `a.c < 'b'`,
    () => 'a.ok',
    () => `a.n IS NULL`,
    () => `(a.k = ${key()} OR a.n = 3)`,
    () => `EXISTS (SELECT FROM e WHERE e.k = a.k AND e.n > 2)`,
    () => `a.n IN (SELECT n FROM e)`,
    () => `a.d BETWEEN 10 AND 60`,
  ];
  return dice.of(kinds)();
}

/** @param {Dice} dice @param {unknown[]} params */
function where(dice, params) {
  const count = dice.below(3);
  const all = Array.from({ length: count }, () => condition(dice, params));
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
}

/** @param {Dice} dice @param {readonly string[]} by */
function order(dice, by) {
  return by.map((item) => `${item}${dice.of(['', ' ASC', ' DESC'])}${dice.of(['', '', ' NULLS FIRST', ' NULLS LAST'])}`).join(', ');
}

/** @param {Dice} dice @param {unknown[]} params */
function limit(dice, params) {
  const number = () => {
    if (dice.chance(50)) return String(dice.below(12));
    params.push(dice.below(12));
    return `$${params.length}`;
  };
  return `${dice.chance(80) ? ` LIMIT ${number()}` : ''}${dice.chance(50) ? ` OFFSET ${number()}` : ''}`;
}

/** @param {Dice} dice */
function aggregate(dice) {
  const number = `a.${dice.of(NUMBERS)}`;
  return dice.of([
    () => 'count(*)',
    () => 'count(*)::int',
    () => `count(${number})`,
    () => 'count(DISTINCT a.k)',
    () => 'count(DISTINCT a.n)',
    () => `sum(${number})`,
    () => `COALESCE(sum(${number}), 0)`,
    () => `sum(${number})::float8`,
    () => `avg(${number})`,
    () => `avg(${number}) FILTER (WHERE a.n > 0)`,
    () => `avg(${number})::float8`,
    () => `min(a.${dice.of(['n', 'b', 'd', 'f', 'c', 't', 'at', 'day'])})`,
    () => `max(a.${dice.of(['n', 'b', 'd', 'f', 'c', 't', 'at', 'day'])})`,
    () => 'bool_and(a.ok)',
    () => 'bool_or(a.n > 3)',
    () => "string_agg(a.c, ',' ORDER BY a.c)",
    () => `sum(${number}) + 1`,
  ])();
}

/**
 * A statement, its parameters, and whether its rows have one order only.
 *
 * @param {Dice} dice
 * @returns {{ sql: string, params: unknown[], isOrdered: boolean }}
 */
function statement(dice) {
  /** @type {unknown[]} */
  const params = [];
  const columns = Array.from({ length: 1 + dice.below(3) }, () => `a.${dice.of(COLUMNS)}`);
  switch (dice.below(8)) {
    case 0:
      return { sql: `SELECT ${columns.join(', ')} FROM a${where(dice, params)}`, params, isOrdered: false };
    case 1:
    case 2: {
      // Rows with equal values are equal, so that every order of them is the same.
      const condition = where(dice, params);
      const by = order(dice, [...columns].sort(() => dice.below(3) - 1));
      return { sql: `SELECT ${dice.chance(40) ? 'DISTINCT ' : ''}${columns.join(', ')} FROM a${condition} ORDER BY ${by}${limit(dice, params)}`, params, isOrdered: true };
    }
    case 3: {
      const list = Array.from({ length: 1 + dice.below(3) }, () => aggregate(dice));
      return { sql: `SELECT ${list.join(', ')} FROM a${where(dice, params)}`, params, isOrdered: true };
    }
    case 4:
    case 5: {
      const group = dice.of(['a.n', 'a.c', 'a.ok', 'a.day', 'a.k', 'a.n % 3', 'a.d', "date_trunc('day', a.at)"]);
      const [first, second] = [aggregate(dice), aggregate(dice)];
      const condition = where(dice, params);
      const having = dice.chance(15) ? ' HAVING count(*) > 1' : '';
      const by = order(dice, [dice.of(['1', 'g']), ...(dice.chance(30) ? ['count(*)'] : [])]);
      // The scales of equal numerics may differ, and either may stand for their group.
      const shown = group === 'a.d' ? 'a.d::float8' : group;
      const grouped = group === 'a.d' ? 'a.d::float8' : group;
      return { sql: `SELECT ${shown} AS g, ${first} AS x, ${second} AS y FROM a${condition} GROUP BY ${dice.of(['1', 'g', grouped])}${having} ORDER BY ${by}${limit(dice, params)}`, params, isOrdered: true };
    }
    case 6: {
      const join = dice.of(['JOIN e ON e.k = a.k', 'LEFT JOIN e USING (k)', 'JOIN e ON a.k = e.k AND e.n > 3', 'LEFT JOIN e ON e.n = a.n', 'CROSS JOIN e', 'LEFT JOIN e ON a.k = 5']);
      return { sql: `SELECT a.n, e.c, e.n AS other FROM a ${join}${where(dice, params)}`, params, isOrdered: false };
    }
    default: {
      const other = dice.of([
        () => `SELECT * FROM a${where(dice, params)} ORDER BY ${order(dice, COLUMNS)}, t COLLATE "C"${limit(dice, params)}`,
        () => `SELECT t FROM a${where(dice, params)} ORDER BY t`,
        () => `SELECT k, rank() OVER (PARTITION BY k ORDER BY n NULLS LAST) AS r FROM a${where(dice, params)} ORDER BY 1, 2`,
        () => `SELECT k, (SELECT count(*) FROM e WHERE e.k = a.k) AS many FROM a${where(dice, params)} ORDER BY 1`,
        () => `SELECT k FROM a${where(dice, params)} UNION SELECT k FROM e ORDER BY 1`,
        () => `SELECT n FROM a${where(dice, params)} ORDER BY d DESC, n, b, f LIMIT 5`,
        () => `WITH some AS (SELECT * FROM a${where(dice, params)}) SELECT count(*) FROM some`,
        () => `SELECT DISTINCT n, c FROM a${where(dice, params)}`,
      ])();
      return { sql: other, params, isOrdered: other.includes('ORDER BY') && !other.includes('ORDER BY d DESC') };
    }
  }
}

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
    const { sql, params, isOrdered } = statement(dice);
    const [ours, one] = await Promise.allSettled([db.query({ text: sql, values: params, rowMode: 'array' }), db.query({ text: sql, values: params, rowMode: 'array' }, undefined, { clusterId: 'whole' })]);
    const what = `${sql} ${JSON.stringify(params)}`;
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
    expect({ what, rows: found, count: ours.value.rowCount }).toEqual({ what, rows: wanted, count: one.value.rowCount });
    counts.equal += 1;
  };
  for (let done = 0; done < STATEMENTS; done += TOGETHER) await Promise.all(Array.from({ length: TOGETHER }, check));
  // Otherwise nothing would be proven.
  expect(counts.equal).toBeGreaterThan(STATEMENTS / 2);
  expect(counts.refused).toBeGreaterThan(STATEMENTS / 20);
  expect(counts.failed).toBeLessThan(STATEMENTS / 20);
});
