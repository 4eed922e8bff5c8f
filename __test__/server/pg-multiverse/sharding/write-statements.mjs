// Generated statements that change rows of the tables `a` and `e`, by the shard key and without it.
import { where } from './plain-statements.mjs';

/** @typedef {import('./dice.mjs').Dice} Dice */

/**
 * A statement and its parameters. Its rows have no order.
 *
 * @param {Dice} dice
 * @returns {{ sql: string, params: unknown[] }}
 */
export function writeStatement(dice) {
  /** @type {unknown[]} */
  const params = [];
  const parameter = (/** @type {unknown} */ value) => `$${params.push(value)}`;
  const key = () => (dice.chance(50) ? String(dice.below(45)) : parameter(dice.chance(50) ? dice.below(45) : String(dice.below(45))));
  const number = () => (dice.chance(20) ? 'NULL' : String(dice.below(9)));
  const returning = dice.of(['', ' RETURNING *', ' RETURNING k, n', ' RETURNING n + 1 AS m']);
  const sql = dice.of([
    () => `UPDATE a SET n = n + 1, c = 'w'${where(dice, params)}${returning}`,
    () => `UPDATE a SET b = ${parameter(dice.below(100))} WHERE k = ${key()}${returning}`,
    () => `UPDATE a SET n = (SELECT count(*) FROM e WHERE e.k = a.k)${where(dice, params)}${returning}`,
    () => `UPDATE a SET ok = NOT ok WHERE k IN (${key()}, ${key()}, ${key()})${returning}`,
    () => `UPDATE e SET n = e.n + 1 FROM (SELECT 1) AS one WHERE e.k = ${key()}`,
    () => `UPDATE a SET k = k + 1${where(dice, params)}`,
    () => `DELETE FROM a WHERE k = ${key()} AND n > 5${returning}`,
    () => `DELETE FROM a WHERE n = ${dice.below(12)} AND b IS NULL${returning}`,
    () => `DELETE FROM e USING a WHERE e.k = a.k AND a.n = 7 AND e.n > 4 RETURNING e.k`,
    () => `DELETE FROM e WHERE k = ANY(${parameter([dice.below(45), dice.below(45)])}) AND n = 1${returning}`,
    () => `INSERT INTO e VALUES (${key()}, ${number()}, 'z')${returning}`,
    () => `INSERT INTO e VALUES (${key()}, ${number()}, 'z'), (${key()}, ${number()}, ${parameter('y')}), (${key()}, 1, NULL)${returning}`,
    () => `INSERT INTO e (n, k) VALUES (${number()}, ${key()}), (${parameter(dice.below(9))}, ${key()})${returning}`,
    () => `INSERT INTO a (k, n) VALUES (${key()}, ${number()}), (${key()}, ${number()})${returning}`,
    () => `INSERT INTO e SELECT * FROM e WHERE k = ${key()}`,
  ])();
  return { sql, params };
}
