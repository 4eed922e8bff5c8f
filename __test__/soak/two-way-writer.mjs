// An application that writes and reads one side of a bidirectional rule, beside the process that streams it.
import { MongoClient } from 'mongodb';
import { createIsolatedDialect } from 'replicaverse';
import { eventually } from '../support/index.mjs';

/** @typedef {{winner: string, source: string | null, target: string | null}} KeptConflict the names of both versions */

/**
 * @typedef {object} Writer
 * @property {(id: string, name: string | null) => Promise<void>} write no name deletes the row
 * @property {() => Promise<Map<string, string>>} rows the names by ids
 * @property {() => Promise<KeptConflict[]>} conflicts
 * @property {() => Promise<void>} close
 */

/**
 * @param {import('./replicator-process.mjs').Ends['target']} config
 * @returns {Promise<Writer>}
 */
export async function openWriter({ dialect, uri }) {
  return dialect === 'mongodb' ? openDocuments(uri) : openTable(/** @type {'postgres' | 'sqlite' | 'mariadb'} */ (dialect), uri);
}

/**
 * @param {'postgres' | 'sqlite' | 'mariadb'} dialect
 * @param {string} uri
 * @returns {Promise<Writer>}
 */
async function openTable(dialect, uri) {
  const connection = await createIsolatedDialect({ dialect, uri, schemaStrategy: 'none' });
  const column = dialect === 'mariadb' ? '`updatedAt`' : '"updatedAt"';
  const replaced =
    dialect === 'mariadb'
      ? `ON DUPLICATE KEY UPDATE name = VALUES(name), ${column} = VALUES(${column})`
      : `ON CONFLICT (id) DO UPDATE SET name = excluded.name, ${column} = excluded.${column}`;
  // A collision with the process that streams is tried again, as an application does.
  const run = (/** @type {string} */ sql) => eventually(() => connection.executeRun(sql).then(() => true), { deadlineMs: 30_000, what: sql });
  return {
    write: async (id, name) => {
      const moment = nextMoment().toISOString();
      const updatedAt = dialect === 'mariadb' ? moment.slice(0, -1).replace('T', ' ') : moment;
      await run(
        name === null
          ? `DELETE FROM item WHERE id = '${id}'`
          : `INSERT INTO item (id, name, ${column}) VALUES ('${id}', '${name}', '${updatedAt}') ${replaced}`,
      );
    },
    rows: async () => {
      const rows = await connection.executeQuery('SELECT id, name FROM item');
      return new Map(rows.map((row) => [String(row.id), String(row.name)]));
    },
    conflicts: async () => {
      const rows = await connection.executeQuery('SELECT winner, source_row, target_row FROM replicaverse_conflict');
      return rows.map(keptConflict);
    },
    close: () => connection.disconnect(),
  };
}

/**
 * @param {string} uri
 * @returns {Promise<Writer>}
 */
async function openDocuments(uri) {
  const client = await MongoClient.connect(uri);
  const database = client.db();
  const items = /** @type {import('mongodb').Collection<{_id: string, name: string, updatedAt: Date}>} */ (database.collection('item'));
  return {
    write: async (id, name) => {
      if (name === null) await items.deleteOne({ _id: id });
      else await items.updateOne({ _id: id }, { $set: { name, updatedAt: nextMoment() } }, { upsert: true });
    },
    rows: async () => new Map((await items.find().toArray()).map(({ _id, name }) => [_id, name])),
    conflicts: async () => (await database.collection('replicaverse_conflict').find().toArray()).map(keptConflict),
    close: () => client.close(),
  };
}

/**
 * @param {Record<string, unknown>} row
 * @returns {KeptConflict}
 */
function keptConflict(row) {
  const name = (/** @type {unknown} */ json) =>
    typeof json === 'string' ? /** @type {{name: string}} */ (JSON.parse(json)).name : null;
  return { winner: String(row.winner), source: name(row.source_row), target: name(row.target_row) };
}

let latest = 0;

/** A moment behind every one before, so that later versions are newer. */
function nextMoment() {
  latest = Math.max(latest + 1, Date.now());
  return new Date(latest);
}
