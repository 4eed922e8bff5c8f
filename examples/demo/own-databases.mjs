// The user's own databases: says what will happen to a target, and asks before one that is not empty is changed.
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';
import { databaseOf, refuseSameDatabase } from './database-uri.mjs';
import { counted } from './formatting.mjs';
import { UsageError } from './options.mjs';

/** @typedef {import('./database-uri.mjs').Database} Database */
/** @typedef {import('replicaverse').IDialect} IDialect */

/**
 * @param {{source: string, targets: readonly string[]}} uris
 * @returns {{source: Database, targets: Database[]}}
 * @throws {UsageError} when a URI cannot be used, or one database is given twice
 */
export function ownDatabases(uris) {
  const source = databaseOf(uris.source);
  const targets = uris.targets.map(databaseOf);
  refuseSameDatabase(source, targets);
  // SQLite would make an empty file of a name that is misspelt.
  if (source.file !== undefined && !existsSync(source.file)) throw new UsageError(`the source does not exist: ${source.label}`);
  return { source, targets };
}

/**
 * What the demo will do, before it does it.
 * @param {Database} source
 * @param {readonly Database[]} targets
 * @param {readonly string[] | undefined} tables
 * @returns {string[]} lines
 */
export function describePlan(source, targets, tables) {
  const what = tables === undefined ? 'every table' : `${tables.length === 1 ? 'the table' : 'the tables'} ${tables.join(', ')}`;
  return [
    `Mirrors ${what} of ${source.label}, which is only read,`,
    ...targets.map(({ label }) => `  to ${label}`),
    'In each target:',
    '  - tables and columns that are missing are made;',
    '  - rows are inserted, and overwritten where they differ;',
    '  - rows of these tables that the source does not have are DELETED;',
    '  - other tables stay as they are.',
  ];
}

/**
 * The tables or collections of a database, without ours and the system's.
 * @param {Database} database
 * @param {IDialect} dialect connected to it
 * @returns {Promise<string[]>}
 */
export async function tablesOf(database, dialect) {
  const names = database.dialect === 'mongodb' ? await collectionNames(database.uri) : await tableNames(database, dialect);
  return names.filter((name) => !name.startsWith('replicaverse_')).sort();
}

const BASE_TABLES = "SELECT table_name AS name FROM information_schema.tables WHERE table_type = 'BASE TABLE'";

/** How each dialect lists its tables; MongoDB does it by its driver. */
const LIST_TABLES = {
  postgres: `${BASE_TABLES} AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
  mariadb: `${BASE_TABLES} AND table_schema = DATABASE()`,
  mongodb: '',
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
};

/**
 * @param {Database} database
 * @param {IDialect} dialect
 */
async function tableNames(database, dialect) {
  const rows = /** @type {{name: string}[]} */ (await dialect.executeQuery(LIST_TABLES[database.dialect]));
  return rows.map(({ name }) => name);
}

/** @param {string} uri */
async function collectionNames(uri) {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 10_000 });
  try {
    const found = await client.db().listCollections({}, { nameOnly: true }).toArray();
    return found.map(({ name }) => name).filter((name) => !name.startsWith('system.'));
  } finally {
    await client.close();
  }
}

const NAMED_TABLES = 8;

/**
 * Asks before a target that is not empty is changed.
 * @param {Database} target
 * @param {readonly string[]} tables what it holds
 * @param {object} terminal
 * @param {boolean} terminal.yes the user has agreed beforehand
 * @param {NodeJS.ReadStream} [terminal.input]
 * @param {NodeJS.WriteStream} [terminal.output]
 * @returns {Promise<boolean>} whether to go on
 * @throws {UsageError} when nobody can be asked
 */
export async function confirm(target, tables, { yes, input = process.stdin, output = process.stdout }) {
  if (tables.length === 0) return true;
  const more = tables.length > NAMED_TABLES ? ` and ${tables.length - NAMED_TABLES} more` : '';
  const holding = `${target.label} is not empty: it holds ${counted(tables.length, 'table')} (${tables.slice(0, NAMED_TABLES).join(', ')}${more}).`;
  output.write(`${holding}\n`);
  if (yes) return true;
  if (!input.isTTY || !output.isTTY) throw new UsageError('Nothing was changed. To go on without being asked, give --yes.');
  const answer = await ask('Go on? [y/N] ', input, output);
  return /^y(es)?$/i.test(answer.trim());
}

/**
 * @param {string} question
 * @param {NodeJS.ReadStream} input
 * @param {NodeJS.WriteStream} output
 * @returns {Promise<string>} empty when the input ends without an answer
 */
function ask(question, input, output) {
  return new Promise((resolve) => {
    const terminal = createInterface({ input, output });
    // While a line is being read, Ctrl-C is a key and not a signal.
    terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    let given = '';
    terminal.on('close', () => {
      if (given === '') output.write('\n');
      resolve(given);
    });
    terminal.question(question, (answer) => {
      given = answer;
      terminal.close();
    });
  });
}
