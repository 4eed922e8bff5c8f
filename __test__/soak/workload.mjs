// Random transactions on a PostgreSQL source: inserts, updates, deletes, key changes, large values, truncates, new columns.
import pg from 'pg';
import { Writing } from './writing.mjs';

export const TABLES = /** @type {const} */ (['item', 'pair']);

/** Large values are stored apart and uncompressed, so that updates of other columns leave them out of the log. */
export const SCHEMA = `
  CREATE TABLE item (
    id bigint PRIMARY KEY, name text, amount numeric(12,2), big text, flag boolean, at timestamptz(3), data jsonb
  );
  ALTER TABLE item ALTER COLUMN big SET STORAGE EXTERNAL;
  CREATE TABLE pair (a text, b integer, v text, PRIMARY KEY (a, b));`;

const KEYS = 400;
const NAMES = ['', 'plain', 'Ünïcødé', "o'quote", 'line\nbreak', '日本語', '\\back\\slash'];

/**
 * @typedef {object} Statement
 * @property {string} text
 * @property {unknown[]} values
 */

/** Random statements. */
class Statements {
  #columns = 0;

  /** @param {import('./random.mjs').Random} random */
  constructor(random) {
    this.random = random;
  }

  /** @returns {Statement} */
  next() {
    const { random } = this;
    const id = random.below(KEYS);
    const kind = random.next();
    if (kind < 0.3) return { text: 'INSERT INTO item (id, name, amount, big, flag, at, data) VALUES ($1, $2, $3, $4, $5, $6, $7)', values: [id, ...this.#values()] };
    if (kind < 0.5) return { text: 'UPDATE item SET name = $2, amount = $3 WHERE id = $1', values: [id, random.pick(NAMES), random.below(1e9) / 100] };
    if (kind < 0.58) return { text: 'UPDATE item SET big = $2 WHERE id = $1', values: [id, this.#large()] };
    if (kind < 0.66) return { text: 'UPDATE item SET id = $2 WHERE id = $1', values: [id, random.below(KEYS)] };
    if (kind < 0.8) return { text: 'DELETE FROM item WHERE id BETWEEN $1 AND $1 + $2', values: [id, random.below(3)] };
    if (kind < 0.81) return { text: `TRUNCATE ${random.pick(TABLES)}`, values: [] };
    if (kind < 0.815 && this.#columns < 3) {
      this.#columns += 1;
      return { text: `ALTER TABLE item ADD COLUMN extra_${String(this.#columns)} text`, values: [] };
    }
    if (kind < 0.84) return { text: 'UPDATE item SET flag = NOT flag WHERE id % 7 = $1', values: [random.below(7)] };
    const pair = [random.pick(['x', 'y', 'ü']), random.below(30)];
    if (kind < 0.92) return { text: 'INSERT INTO pair VALUES ($1, $2, $3) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v', values: [...pair, random.pick(NAMES)] };
    if (kind < 0.96) return { text: 'UPDATE pair SET b = b + 100 WHERE a = $1 AND b = $2', values: pair };
    return { text: 'DELETE FROM pair WHERE a = $1 AND b = $2', values: pair };
  }

  #values() {
    const { random } = this;
    const at = random.chance(0.1) ? null : new Date(Date.UTC(1960 + random.below(120), random.below(12), 1, 0, 0, 0, random.below(1000)));
    const data = random.chance(0.2) ? null : JSON.stringify({ n: random.below(1000), list: [random.pick(NAMES), null, random.below(9)] });
    return [random.pick(NAMES), random.chance(0.1) ? null : random.below(1e9) / 100, this.#large(), random.chance(0.5), at, data];
  }

  /** A text of which some are stored apart. */
  #large() {
    return this.random.chance(0.3) ? 'x' : `${String(this.random.below(1e9))}-`.repeat(600 + this.random.below(600));
  }
}

/**
 * Random transactions on PostgreSQL.
 * @param {() => string} uri of the source, which may change its port
 * @param {import('./random.mjs').Random} random
 * @returns {Writing<pg.Client>}
 */
export function postgresWriting(uri, random) {
  const statements = new Statements(random);
  return new Writing({
    connect: async () => {
      const client = new pg.Client({ connectionString: uri(), connectionTimeoutMillis: 1000 });
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    transaction: async (client) => {
      const count = 1 + random.below(random.chance(0.05) ? 60 : 6);
      await client.query('BEGIN');
      for (const { text, values } of Array.from({ length: count }, () => statements.next())) {
        await client.query('SAVEPOINT statement');
        // A key that exists already undoes its own statement only.
        await client.query(text, values).catch(() => client.query('ROLLBACK TO SAVEPOINT statement'));
      }
      await client.query(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT');
    },
    disconnect: (client) => client.end(),
  });
}
