// Loading the data sets into PostgreSQL: tables with real column types, filled by streamed COPY.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** @typedef {import('./datasets.mjs').Dataset} Dataset */
/** @typedef {import('./datasets.mjs').Row} Row */

const ROWS_PER_CHUNK = 2_000;

/**
 * Makes the tables of the data sets and fills them.
 * @param {string} uri of a PostgreSQL database that does not have the tables yet
 * @param {readonly Dataset[]} datasets
 * @param {import('./progress.mjs').Progress} progress
 * @returns {Promise<number>} rows loaded
 * @throws {Error} what PostgreSQL reports
 */
export async function load(uri, datasets, progress) {
  const client = new pg.Client({ connectionString: uri });
  // A server that goes away is reported by the statement that runs; without a listener Node.js would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    let loaded = 0;
    for (const dataset of datasets) loaded += await loadTable(client, dataset, progress);
    return loaded;
  } finally {
    await client.end();
  }
}

/**
 * @param {pg.Client} client
 * @param {Dataset} dataset
 * @param {import('./progress.mjs').Progress} progress
 */
async function loadTable(client, dataset, progress) {
  const { table } = dataset;
  progress.update({ collection: table, rows: 0, done: false });
  const rows = dataset.readRows();
  await client.query(createTable(dataset));
  const target = client.query(copyFrom(`COPY ${quoteIdentifier(table)} (${columnList(dataset)}) FROM STDIN`));
  const advance = (/** @type {number} */ count) =>
    progress.update({ collection: table, rows: count, estimate: rows.length, done: false });
  await pipeline(Readable.from(copyChunks(dataset, rows, advance)), target);
  // Progress of the replication takes its total from the statistics.
  await client.query(`ANALYZE ${quoteIdentifier(table)}`);
  progress.update({ collection: table, rows: target.rowCount, estimate: rows.length, done: true });
  return target.rowCount;
}

/**
 * @param {Dataset} dataset
 * @returns {string} SQL
 */
export function createTable({ table, key, columns }) {
  const definitions = Object.entries(columns).map(([name, type]) => `${quoteIdentifier(name)} ${type}`);
  return `CREATE TABLE ${quoteIdentifier(table)} (${definitions.join(', ')}, PRIMARY KEY (${quoteIdentifier(key)}))`;
}

/**
 * The rows in COPY's text format, some thousand at a time.
 * @param {Dataset} dataset
 * @param {readonly Row[]} rows
 * @param {(count: number) => void} advance told how many rows have been handed over
 */
function* copyChunks({ columns }, rows, advance) {
  const entries = Object.entries(columns);
  for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
    const chunk = rows.slice(start, start + ROWS_PER_CHUNK);
    const lines = chunk.map((row) => entries.map(([name, type]) => copyField(row[name] ?? null, type)).join('\t'));
    yield `${lines.join('\n')}\n`;
    advance(start + chunk.length);
  }
}

/**
 * One value in COPY's text format.
 * @param {import('./datasets.mjs').Value} value
 * @param {string} type PostgreSQL's
 * @returns {string}
 */
export function copyField(value, type) {
  if (value === null) return '\\N';
  return literal(value, type).replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character);
}

/** @type {Record<string, string>} */
const ESCAPES = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * @param {NonNullable<import('./datasets.mjs').Value>} value
 * @param {string} type
 */
function literal(value, type) {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) && type.endsWith('[]')) return `{${value.map(quoteArrayItem).join(',')}}`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** @param {Dataset} dataset */
function columnList({ columns }) {
  return Object.keys(columns).map(quoteIdentifier).join(', ');
}

/** @param {string} name */
function quoteIdentifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/** @param {string} text */
function quoteArrayItem(text) {
  return `"${text.replace(/["\\]/g, (character) => `\\${character}`)}"`;
}
