// Generated statements: conditions, orders, limits, aggregates, groups and joins of the tables `a` and `e`.

/** @typedef {import('./dice.mjs').Dice} Dice */
/** A statement, its parameters, and whether its rows have one order only. @typedef {{ sql: string, params: unknown[], isOrdered: boolean }} Statement */

const COLUMNS = ['k', 'n', 'b', 'd', 'f', 'c', 'at', 'day', 'ok', 'u'];
const NUMBERS = ['n', 'b', 'd', 'f', 'k'];
/** @param {Dice} dice */
export function row(dice) {
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
export function where(dice, params) {
  const count = dice.below(3);
  const all = Array.from({ length: count }, () => condition(dice, params));
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
}

/** @param {Dice} dice @param {readonly string[]} by */
function order(dice, by) {
  return by.map((item) => `${item}${dice.of(['', ' ASC', ' DESC'])}${dice.of(['', '', ' NULLS FIRST', ' NULLS LAST'])}`).join(', ');
}

/** @param {Dice} dice @param {unknown[]} params */
export function limit(dice, params) {
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
export function plainStatement(dice) {
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
