// What is measured: statements, how many are under way at once, and the tables they work on.

/** The rows of the table that is read. */
export const ROWS = 100_000;

/** Makes the tables. */
export const SCHEMA = `
  CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, email text, score float8, active bool, born timestamptz, balance numeric(12, 2), data jsonb);
  INSERT INTO person SELECT i, 'Person number ' || i, 'person' || i || '@example.org', i / 7.0, i % 2 = 0, '2000-01-01'::timestamptz + i * '1 hour'::interval, i * 1.01,
    jsonb_build_object('level', i % 10, 'tags', jsonb_build_array('a', i)) FROM generate_series(1, ${ROWS}) i;
  CREATE UNLOGGED TABLE event (id bigserial PRIMARY KEY, person int, kind text, at timestamptz, amount float8);
  ANALYZE person`;

/** What must run outside of a transaction, so that reads need not mark rows as visible while they are timed. */
export const UPKEEP = 'VACUUM person';

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {number} inFlight
 * @property {string} sql
 * @property {() => readonly unknown[]} values
 * @property {number} rows how many a call gives
 */

const anyId = () => 1 + Math.floor(Math.random() * ROWS);
const ONE_ROW = 'SELECT id, name, email, score, active, born FROM person WHERE id = $1';

/** @type {readonly Case[]} */
export const CASES = [
  ...[1, 10, 64].map((inFlight) => ({ name: 'one row', inFlight, sql: ONE_ROW, values: () => [anyId()], rows: 1 })),
  { name: '1,000 rows', inFlight: 10, sql: 'SELECT id, name, email, score, active, born FROM person WHERE id > $1 ORDER BY id LIMIT 1000', values: () => [anyId() % (ROWS - 1000)], rows: 1000 },
  { name: '100,000 rows', inFlight: 1, sql: 'SELECT id, name, email, score, active, born FROM person', values: () => [], rows: ROWS },
  { name: '10,000 rows of JSON and numeric', inFlight: 1, sql: 'SELECT id, balance, data FROM person WHERE id <= $1', values: () => [10_000], rows: 10_000 },
  {
    name: 'insert',
    inFlight: 10,
    sql: 'INSERT INTO event (person, kind, at, amount) VALUES ($1, $2, $3, $4)',
    values: () => [anyId(), 'purchase', new Date(), Math.random()],
    rows: 0,
  },
];
