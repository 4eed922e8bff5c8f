// Random transactions on a MariaDB source: inserts, updates, deletes, key changes, large values, truncates, new columns.
import { createIsolatedDialect } from 'replicaverse';
import { Writing } from './writing.mjs';

export const MARIADB_SCHEMA = `
  CREATE TABLE item (
    id bigint PRIMARY KEY, name varchar(100), amount decimal(12,2), big longtext, flag boolean, at datetime(3), data json
  );
  CREATE TABLE pair (a varchar(10) COLLATE utf8mb4_bin, b integer, v text, PRIMARY KEY (a, b));`;

const KEYS = 400;
const NAMES = ['', 'plain', 'Ünïcødé', "o'quote", 'line\nbreak', '日本語', '\\back\\slash'];

/**
 * Random transactions on MariaDB.
 * @param {() => string} uri
 * @param {import('./random.mjs').Random} random
 */
export function mariadbWriting(uri, random) {
  let columns = 0;
  const large = () => (random.chance(0.3) ? 'x' : `${String(random.below(1e9))}-`.repeat(600 + random.below(600)));
  /** @returns {[string, unknown[]]} */
  const statement = () => {
    const id = random.below(KEYS);
    const kind = random.next();
    if (kind < 0.3) {
      const data = random.chance(0.2) ? null : JSON.stringify({ n: random.below(1000), list: [random.pick(NAMES), null, random.below(9)] });
      const at = random.chance(0.1) ? null : `${String(1960 + random.below(120))}-03-01 00:00:00.${String(random.below(1000)).padStart(3, '0')}`;
      const amount = random.chance(0.1) ? null : random.below(1e9) / 100;
      const values = [id, random.pick(NAMES), amount, large(), random.chance(0.5) ? 1 : 0, at, data];
      return ['INSERT IGNORE INTO item (id, name, amount, big, flag, at, data) VALUES (?, ?, ?, ?, ?, ?, ?)', values];
    }
    if (kind < 0.5) return ['UPDATE item SET name = ?, amount = ? WHERE id = ?', [random.pick(NAMES), random.below(1e9) / 100, id]];
    if (kind < 0.58) return ['UPDATE item SET big = ? WHERE id = ?', [large(), id]];
    if (kind < 0.66) return ['UPDATE IGNORE item SET id = ? WHERE id = ?', [random.below(KEYS), id]];
    if (kind < 0.8) return ['DELETE FROM item WHERE id BETWEEN ? AND ?', [id, id + random.below(3)]];
    if (kind < 0.805) return [`TRUNCATE ${random.pick(['item', 'pair'])}`, []];
    if (kind < 0.81 && columns < 3) {
      columns += 1;
      return [`ALTER TABLE item ADD COLUMN extra_${String(columns)} text`, []];
    }
    if (kind < 0.84) return ['UPDATE item SET flag = NOT flag WHERE id % 7 = ?', [random.below(7)]];
    const pair = [random.pick(['x', 'y', 'ü']), random.below(30)];
    if (kind < 0.92) return ['INSERT INTO pair VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)', [...pair, random.pick(NAMES)]];
    if (kind < 0.96) return ['UPDATE IGNORE pair SET b = b + 100 WHERE a = ? AND b = ?', pair];
    return ['DELETE FROM pair WHERE a = ? AND b = ?', pair];
  };
  return new Writing({
    connect: () => createIsolatedDialect({ dialect: 'mariadb', uri: uri(), schemaStrategy: 'none' }),
    transaction: async (dialect) => {
      const statements = Array.from({ length: 1 + random.below(random.chance(0.05) ? 60 : 6) }, statement);
      const undone = new Error('undone');
      await dialect
        .$transaction(async (tx) => {
          for (const [text, values] of statements) await tx.executeRun(text, values);
          if (random.chance(0.1)) throw undone;
        })
        .catch((/** @type {unknown} */ error) => {
          if (error !== undone) throw error;
        });
    },
    disconnect: (dialect) => dialect.disconnect(),
  });
}
