// An application that writes and reads one side of a bidirectional rule, beside the process that streams it.
import { MongoClient } from 'mongodb';
import { createIsolatedDialect } from 'replicaverse';
import { eventually } from '../support/index.mjs';

/** @typedef {{winner: string, source: string | null, target: string | null}} KeptConflict the names of both versions */

/**
 * @typedef {object} Writer
 * @property {(id: string, name: string | null) => Promise<string | null>} write no name deletes the row; the name that was replaced
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
  const locked = dialect === 'sqlite' ? '' : ' FOR UPDATE';
  const writeOnce = (/** @type {string} */ id, /** @type {string | null} */ name) =>
    connection.$transaction(async (transaction) => {
      // SQLite lets nobody else write from the first write on.
      if (dialect === 'sqlite') await transaction.executeRun(`UPDATE item SET name = name WHERE id = '${id}'`);
      const [before] = await transaction.executeQuery(`SELECT name FROM item WHERE id = '${id}'${locked}`);
      const moment = nextMoment().toISOString();
      const updatedAt = dialect === 'mariadb' ? moment.slice(0, -1).replace('T', ' ') : moment;
      if (name === null) await transaction.executeRun(`DELETE FROM item WHERE id = '${id}'`);
      else if (before === undefined) await transaction.executeRun(`INSERT INTO item (id, name, ${column}) VALUES ('${id}', '${name}', '${updatedAt}')`);
      else await transaction.executeRun(`UPDATE item SET name = '${name}', ${column} = '${updatedAt}' WHERE id = '${id}'`);
      return { replaced: before === undefined ? null : String(before.name) };
    });
  return {
    // A collision with the process that streams is tried again, as an application does.
    write: async (id, name) => (await eventually(() => writeOnce(id, name), { deadlineMs: 30_000, what: `write ${id}` })).replaced,
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
      const before =
        name === null
          ? await items.findOneAndDelete({ _id: id })
          : await items.findOneAndUpdate({ _id: id }, { $set: { name, updatedAt: nextMoment() } }, { upsert: true, returnDocument: 'before' });
      return before?.name ?? null;
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
