// Generated statements with the clauses by which merging goes wrong most easily, on the tables `a` and `e`.
import { limit, where } from './plain-statements.mjs';

/** @typedef {import('./dice.mjs').Dice} Dice */
/** @typedef {import('./plain-statements.mjs').Statement} Statement */
/** @typedef {(dice: Dice, params: unknown[]) => string} Family gives a statement whose rows have one order if it has ORDER BY */

const KEYED = ['e.k', 'a.k'];
const JOINS = ['LEFT JOIN e ON e.k = a.k', 'LEFT JOIN e USING (k)', 'FULL JOIN e ON a.k = e.k', 'JOIN e USING (k)', 'LEFT JOIN e ON e.k = a.k AND e.n > 2'];

/** ORDER BY of all columns by their positions. @param {Dice} dice @param {number} count */
function order(dice, count) {
  const by = Array.from({ length: count }, (_, at) => `${at + 1}${dice.of(['', ' DESC', ' ASC'])}${dice.of(['', ' NULLS FIRST', ' NULLS LAST'])}`);
  return ` ORDER BY ${by.join(', ')}`;
}

/** A parameter. @param {unknown[]} params @param {unknown} value */
function parameter(params, value) {
  params.push(value);
  return `$${params.length}`;
}

/** @type {Family} */
function outerJoin(dice, params) {
  const join = dice.of(JOINS);
  const key = dice.of(KEYED);
  const condition = where(dice, params);
  return dice.of([
    () => `SELECT ${key}, count(*), count(e.n), sum(e.n) FROM a ${join}${condition} GROUP BY ${key}${order(dice, 4)}`,
    () => `SELECT DISTINCT ${key}, e.n FROM a ${join}${condition}${order(dice, 2)}${limit(dice, params)}`,
    () => `SELECT a.n, e.n FROM e RIGHT JOIN a ON e.k = a.k${condition}`,
    () => `SELECT count(DISTINCT ${key}), max(e.c), min(e.n) FROM a ${join}${condition}`,
    () => `SELECT ${key}, rank() OVER (PARTITION BY ${key} ORDER BY a.n) AS r FROM a ${join}${condition}${order(dice, 2)}`,
    () => `SELECT a.n FROM a LEFT JOIN e ON e.k = a.k WHERE e.k IS NULL`,
    () => `SELECT a.n, e.c FROM a LEFT JOIN e ON e.k = a.k WHERE e.k = ${dice.below(40)}`,
    () => `SELECT ${key}, json_agg(a.n ORDER BY a.n, e.n) FROM a ${join}${condition} GROUP BY ${key} ORDER BY 1`,
  ])();
}

/** @type {Family} */
function names(dice) {
  return dice.of([
    'SELECT count(*) FROM a GROUP BY n ORDER BY count',
    'SELECT max(n) FROM a GROUP BY c ORDER BY max NULLS FIRST',
    'SELECT n::bigint FROM a ORDER BY n DESC',
    'SELECT n::text FROM a ORDER BY n',
    'SELECT (n + 1)::bigint FROM a ORDER BY int8',
    'SELECT CASE WHEN ok THEN 1 ELSE 2 END FROM a ORDER BY "case"',
    'SELECT CASE WHEN ok THEN 1 ELSE n END FROM a ORDER BY n',
    'SELECT COALESCE(n, 0) FROM a ORDER BY "coalesce"',
    'SELECT GREATEST(n, 3), LEAST(k, 5) FROM a ORDER BY "greatest", "least"',
    'SELECT NULLIF(n, 1) FROM a ORDER BY "nullif"',
    'SELECT EXISTS (SELECT FROM e WHERE e.k = a.k) FROM a ORDER BY "exists"',
    'SELECT abs(n), n AS k FROM a ORDER BY abs, k',
    'SELECT n AS c, count(*) FROM a GROUP BY n ORDER BY c, 2',
    'SELECT sum(n) AS n FROM a ORDER BY n',
    'SELECT k AS n, n AS k FROM a ORDER BY n, k',
    'SELECT n AS k, count(*) FROM a GROUP BY k',
    'SELECT extract(year FROM day), count(*) FROM a GROUP BY 1 ORDER BY 1',
    'SELECT n + 1, -n, (n), n IS NULL, ARRAY[n, k], ROW(n, 1) FROM a',
    'SELECT (SELECT max(e.n) FROM e WHERE e.k = a.k) FROM a ORDER BY max',
    'SELECT DISTINCT count(*) FROM a GROUP BY n ORDER BY count DESC',
  ]);
}

/** @type {Family} */
function collations(dice, params) {
  const condition = where(dice, params);
  return dice.of([
    `SELECT t COLLATE "C" AS s FROM a${condition} ORDER BY s`,
    `SELECT t COLLATE "C" FROM a${condition} ORDER BY 1 DESC`,
    `SELECT t FROM a${condition} ORDER BY t COLLATE "C"`,
    `SELECT min(t COLLATE "C"), max(t COLLATE "C"), min(c), max(c) FROM a${condition}`,
    `SELECT t, count(*) FROM a${condition} GROUP BY t ORDER BY t COLLATE "C"`,
    `SELECT DISTINCT t FROM a${condition}`,
    `SELECT c || 'x' AS s FROM a${condition} ORDER BY s`,
    `SELECT max(c || t) FROM a${condition}`,
    `SELECT t COLLATE "POSIX", c FROM a${condition} ORDER BY 1, 2`,
    `SELECT lower(c) AS s, count(*) FROM a${condition} GROUP BY s ORDER BY s`,
    `SELECT c COLLATE "default" AS s FROM a${condition} ORDER BY s`,
    `SELECT min(c COLLATE "default") FROM a${condition}`,
    `SELECT max(lower(t COLLATE "C")), min(upper(c)) FROM a${condition}`,
  ]);
}

/** @type {Family} */
function groups(dice, params) {
  const condition = where(dice, params);
  const having = dice.of(['count(*) > 1', 'sum(a.n) > 3', 'min(a.n) IS NOT NULL', 'bool_or(a.ok)']);
  const filter = dice.of(['a.n > 0', 'a.ok', 'a.c < \'b\'', 'a.k % 2 = 0', 'false']);
  return dice.of([
    () => `SELECT k, count(*) FROM a${condition} GROUP BY k HAVING ${having}${order(dice, 2)}${limit(dice, params)}`,
    () => `SELECT n, count(*) FROM a${condition} GROUP BY n HAVING ${having} ORDER BY 1`,
    () => `SELECT count(*) FROM a${condition} HAVING ${having}`,
    () => `SELECT count(*) FILTER (WHERE ${filter}), sum(n) FILTER (WHERE ${filter}), min(d) FILTER (WHERE ${filter}), avg(b) FILTER (WHERE ${filter}) FROM a${condition}`,
    () => `SELECT c, count(*) FILTER (WHERE ${filter}), bool_and(ok) FILTER (WHERE ${filter}) FROM a${condition} GROUP BY c${order(dice, 3)}`,
    () => `SELECT count(DISTINCT ${dice.of(['k', 'n', 'c', 'a.k + 1'])}), count(*) FROM a${condition}`,
    () => `SELECT n, count(DISTINCT k), max(DISTINCT b), min(DISTINCT d::float8) FROM a${condition} GROUP BY n${order(dice, 4)}`,
    () => `SELECT sum(DISTINCT ${dice.of(['k', 'n'])}), avg(DISTINCT k) FROM a${condition}`,
    () => `SELECT n, c, count(*) FROM a${condition} GROUP BY ${dice.of(['GROUPING SETS ((n), (c))', 'ROLLUP (n, c)', 'CUBE (n, c)', 'n, ROLLUP (c)'])}`,
    () => `SELECT k, count(*) FROM a${condition} GROUP BY ${dice.of(['ROLLUP (k)', 'GROUPING SETS ((k), ())', '()'])}`,
    () => `SELECT ${dice.of(['json_agg(n ORDER BY n)', 'jsonb_object_agg(k, n)', 'array_agg(n ORDER BY n)', 'JSON_ARRAYAGG(n ORDER BY n)', 'JSON_OBJECTAGG(k : n)', 'stddev(n)', 'percentile_cont(0.5) WITHIN GROUP (ORDER BY n)', 'bit_or(n)', 'any_value(1)'])} AS x FROM a${condition}`,
    () => `SELECT k, ${dice.of(['json_agg(n ORDER BY n)', 'array_agg(DISTINCT n)', 'string_agg(c, \',\' ORDER BY c)', 'count(DISTINCT c)', 'mode() WITHIN GROUP (ORDER BY n)'])} AS x FROM a${condition} GROUP BY k ORDER BY k`,
    () => `SELECT avg(n), n % 3 AS g FROM a${condition} GROUP BY g ORDER BY avg(n) DESC, g${limit(dice, params)}`,
    () => `SELECT max(n) - min(n), -count(*) FROM a${condition}`,
    () => `SELECT every(ok), count(n)::int, sum(n)::text FROM a${condition}`,
    () => `SELECT n, grouping(n) FROM a${condition} GROUP BY n ORDER BY 1`,
  ])();
}

/** @type {Family} */
function windows(dice, params) {
  const condition = where(dice, params);
  const partition = dice.of(['k', 'k, n', 'n', 'k % 2']);
  return dice.of([
    `SELECT k, n, row_number() OVER (PARTITION BY ${partition} ORDER BY n, b, d, f, c) AS r, count(*) OVER (PARTITION BY ${partition}) AS m FROM a${condition}${order(dice, 4)}`,
    `SELECT k, sum(n) OVER (PARTITION BY ${partition}) AS s FROM a${condition}${order(dice, 2)}${limit(dice, params)}`,
    `SELECT k, sum(n) OVER w AS s FROM a${condition} WINDOW w AS (PARTITION BY k)${order(dice, 2)}`,
    `SELECT rank() OVER (ORDER BY n) FROM a${condition}`,
    `SELECT k, sum(count(*)) OVER (PARTITION BY k) FROM a${condition} GROUP BY k, n ORDER BY 1, 2`,
    `SELECT n, sum(count(*)) OVER () FROM a${condition} GROUP BY n ORDER BY 1`,
    `SELECT n FROM a${condition} ORDER BY rank() OVER (ORDER BY n), n`,
  ]);
}

/** @type {Family} */
function queries(dice, params) {
  const key = dice.below(40);
  const operator = dice.of(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT']);
  return dice.of([
    () => `SELECT n FROM a WHERE k = ${key} ${operator} SELECT n FROM e WHERE k = ${parameter(params, key)} ORDER BY 1`,
    () => `SELECT n FROM a ${operator} SELECT n FROM e ORDER BY 1`,
    () => `SELECT n FROM a WHERE k = ${key} ${operator} SELECT n FROM e WHERE k = ${dice.below(40)} ORDER BY 1`,
    () => `WITH s AS (SELECT * FROM a WHERE k = ${key}) SELECT count(*), sum(n) FROM s`,
    () => `WITH s AS (SELECT * FROM a) SELECT count(*) FROM s WHERE k = ${key}`,
    () => `WITH a AS (SELECT 1 AS k, 2 AS n) SELECT k, n FROM a`,
    () => `WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT i FROM r ORDER BY i`,
    () => `SELECT n FROM (SELECT * FROM a WHERE k = ${key}) AS s ORDER BY n`,
    () => `SELECT max(n) FROM (SELECT n FROM a ORDER BY n LIMIT 3) AS s`,
    () => `SELECT a.n, s.m FROM a, LATERAL (SELECT max(e.n) AS m FROM e WHERE e.k = a.k) AS s`,
    () => `SELECT n FROM a WHERE NOT EXISTS (SELECT 1 FROM e WHERE e.k = a.k AND e.n > 1 GROUP BY e.n HAVING count(*) > 1)`,
    () => `SELECT n FROM a WHERE k IN (SELECT k FROM e WHERE n = 2)`,
    () => `SELECT n FROM a WHERE k NOT IN (SELECT k FROM e WHERE n = 2)`,
    () => `SELECT n FROM a WHERE n > (SELECT avg(n) FROM e WHERE e.k = a.k)`,
    () => `SELECT n FROM a WHERE n > (SELECT avg(n) FROM e)`,
    () => `SELECT n, generate_series(1, 2) AS i FROM a${where(dice, params)}${order(dice, 2)}`,
    () => `SELECT unnest(ARRAY[n, k]) AS i FROM a${where(dice, params)} ORDER BY 1`,
    () => `SELECT i, count(*) FROM a, generate_series(1, 2) AS i GROUP BY i ORDER BY i`,
    () => `SELECT n FROM a TABLESAMPLE ${dice.of(['BERNOULLI', 'SYSTEM'])} (100)${where(dice, params)}`,
    () => `TABLE a`,
    () => `VALUES (1), (2)`,
    () => `SELECT x.n, x FROM ONLY public.a AS x WHERE x.k = ${key}`,
    () => `SELECT a FROM a${where(dice, params)}`,
    () => `SELECT a.*, e.* FROM a JOIN e USING (k)${where(dice, params)}`,
    () => `SELECT *, n + 1 AS m FROM a${where(dice, params)} ORDER BY m, ${['k', 'n', 'b', 'd', 'f', 'c', 'at', 'day', 'ok', 'u'].join(', ')}, t COLLATE "C"`,
  ])();
}

/** @type {Family} */
function bounds(dice, params) {
  const condition = where(dice, params);
  const ordered = `SELECT n, k FROM a${condition}${order(dice, 2)}`;
  return dice.of([
    () => `${ordered} LIMIT NULL`,
    () => `${ordered} LIMIT ALL OFFSET ${dice.below(20)}`,
    () => `${ordered} LIMIT ${parameter(params, null)} OFFSET ${parameter(params, dice.of([null, 3, '4']))}`,
    () => `${ordered} OFFSET NULL LIMIT 5`,
    () => `${ordered} OFFSET ${parameter(params, dice.below(30))}`,
    () => `${ordered} FETCH FIRST ${dice.below(9)} ROWS ONLY`,
    () => `${ordered} FETCH FIRST 3 ROWS WITH TIES`,
    () => `${ordered} LIMIT 2 + 3`,
    () => `${ordered} LIMIT '4' OFFSET ${parameter(params, 2)}::int`,
    () => `${ordered} LIMIT ${parameter(params, dice.of([-1, 3, '5']))}`,
    () => `SELECT DISTINCT ON (k) k, n FROM a${condition} ORDER BY k, n NULLS LAST`,
    () => `SELECT DISTINCT ON (n) n, k FROM a${condition} ORDER BY n, k`,
    () => `SELECT DISTINCT ON (k) k, n FROM a${condition} ORDER BY k DESC, n${limit(dice, params)}`,
    () => `SELECT DISTINCT n, k FROM a${condition} OFFSET 0`,
  ])();
}

/** @type {Family} */
function values(dice, params) {
  const day = 1 + dice.below(5);
  /** @type {[string, unknown][]} */
  const columns = [
    ['a.b', BigInt(dice.below(5)) * 3_000_000_000n],
    ['a.ok', dice.chance(50)],
    ['a.at', new Date(`2024-01-0${day}T1${dice.below(10)}:00:00.000Z`)],
    ['a.day', `2024-0${1 + dice.below(9)}-01`],
    ['a.u', '00000000-0000-0000-0000-00000000000a'],
    ['a.d', '10.5'],
    ['a.f', dice.below(64) / 8],
    ['a.c', 'b'],
    ['a.k', dice.of([7, '7', ' 7', '+7', null, 7n])],
    ['a.n', null],
  ];
  const [column, value] = dice.of(columns);
  return dice.of([
    () => `SELECT n, k FROM a WHERE ${column} ${dice.of(['=', '>', '<=', '<>', 'IS DISTINCT FROM'])} ${parameter(params, value)}${order(dice, 2)}`,
    () => `SELECT count(*), ${parameter(params, 5)}::int AS p FROM a WHERE ${column} = ${parameter(params, value)}`,
    () => `SELECT n, ${parameter(params, 'x')}::text AS p FROM a WHERE k = ANY(${parameter(params, [3, dice.below(40), null])})${order(dice, 1)}`,
    () => `SELECT k FROM a WHERE c = ANY(${parameter(params, ['b', 'Z', '1'])}) ORDER BY k`,
    () => `SELECT n FROM a WHERE k = ANY(${parameter(params, `{${dice.below(40)},"${dice.below(40)}"}`)}::int[]) ORDER BY n`,
    () => `SELECT n FROM a WHERE k = ${parameter(params, dice.below(40))}::bigint ORDER BY n`,
    () => `SELECT n FROM a WHERE k = ${parameter(params, '7')}::numeric ORDER BY n`,
    () => `SELECT n FROM a WHERE k = ${dice.below(40)}.0 ORDER BY n`,
    () => `SELECT n FROM a WHERE (k, n) = (${dice.below(40)}, ${dice.below(9)}) ORDER BY n`,
    () => `SELECT n FROM a WHERE k BETWEEN ${dice.below(20)} AND ${parameter(params, 30)} ORDER BY n`,
    () => `SELECT n FROM a WHERE k IN (${dice.below(40)}, NULL, ${parameter(params, '11')}) ORDER BY n`,
    () => `SELECT count(*) FROM a WHERE ${parameter(params, dice.of([true, false, null]))}::boolean`,
    () => `SELECT n FROM a WHERE k = ALL(${parameter(params, [dice.below(40)])}) ORDER BY n`,
    () => `SELECT n FROM a WHERE NOT (k = ${dice.below(40)}) AND n = ${parameter(params, dice.below(9))} ORDER BY n`,
  ])();
}

const FAMILIES = [outerJoin, names, collations, groups, groups, windows, queries, bounds, values, values];

/**
 * A statement with such clauses.
 *
 * @param {Dice} dice
 * @returns {Statement}
 */
export function clauseStatement(dice) {
  for (;;) {
    /** @type {unknown[]} */
    const params = [];
    const sql = dice.of(FAMILIES)(dice, params);
    const isUsed = params.every((_, at) => sql.includes(`$${at + 1}`));
    // What orders the rows within an aggregate or a subquery does not order those of the result.
    if (isUsed) return { sql, params, isOrdered: / ORDER BY [^)]*$/.test(sql) };
  }
}
