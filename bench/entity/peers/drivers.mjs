// The drivers that applications use without this library, doing the same work.
import Database from 'better-sqlite3';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { COLUMNS, PERSON, ROWS } from '../people.mjs';

/** @typedef {import('../people.mjs').Person} Person */

/**
 * One side of the comparison. A result that is no promise is ready at once.
 * @typedef {object} Side
 * @property {string} name
 * @property {(id: string) => unknown} findById
 * @property {(person: Person) => unknown} create
 * @property {() => Promise<readonly unknown[]> | readonly unknown[]} findAll
 * @property {() => Promise<void>} close
 */

const TABLE = PERSON.collection;
const NAMES = COLUMNS.map((name) => `"${name}"`).join(', ');

/**
 * The same file, journal and durability as the library's.
 * @param {string} file
 * @returns {Side}
 */
export function betterSqlite(file) {
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.pragma('foreign_keys = ON');
  const byId = database.prepare(`SELECT ${NAMES} FROM "${TABLE}" WHERE "id" = ?`);
  const all = database.prepare(`SELECT ${NAMES} FROM "${TABLE}" LIMIT ${ROWS}`);
  const insert = database.prepare(`INSERT INTO "${TABLE}" (${NAMES}) VALUES (${COLUMNS.map(() => '?').join(', ')})`);
  return {
    name: 'better-sqlite3',
    findById: (id) => fromSqlite(byId.get(id)),
    create: (person) => insert.run(...toSqlite(person)),
    findAll: () => all.all().map(fromSqlite),
    close: async () => void database.close(),
  };
}

/** @param {Person} person */
function toSqlite(person) {
  const { id, name, email, age, score, active, born, bio, city, address } = person;
  return [id, name, email, age, score, active ? 1 : 0, born.toISOString(), bio, city, JSON.stringify(address)];
}

/**
 * SQLite has no booleans, dates or documents, and an application has to make them.
 * @param {any} row
 */
function fromSqlite(row) {
  row.active = row.active === 1;
  row.born = new Date(row.born);
  row.address = JSON.parse(row.address);
  return row;
}

/**
 * @param {string} uri
 * @param {number} connections
 * @returns {Side}
 */
export function nodePostgres(uri, connections) {
  const pool = new pg.Pool({ connectionString: uri, max: connections });
  const insert = `INSERT INTO "${TABLE}" (${NAMES}) VALUES (${COLUMNS.map((_, index) => `$${index + 1}`).join(', ')}) RETURNING ${NAMES}`;
  return {
    name: 'pg',
    findById: async (id) => (await pool.query(`SELECT ${NAMES} FROM "${TABLE}" WHERE "id" = $1`, [id])).rows[0],
    create: async (person) => (await pool.query(insert, COLUMNS.map((name) => person[/** @type {keyof Person} */ (name)]))).rows[0],
    findAll: async () => (await pool.query(`SELECT ${NAMES} FROM "${TABLE}" LIMIT ${ROWS}`)).rows,
    close: () => pool.end(),
  };
}

/**
 * @param {string} uri
 * @param {number} connections
 * @returns {Promise<Side>}
 */
export async function mongodbDriver(uri, connections) {
  const client = await new MongoClient(uri, { maxPoolSize: connections }).connect();
  const people = client.db().collection(/** @type {string} */ (TABLE));
  return {
    name: 'mongodb',
    findById: (id) => people.findOne({ _id: /** @type {any} */ (id) }),
    create: ({ id, ...fields }) => people.insertOne({ _id: /** @type {any} */ (id), ...fields }),
    findAll: () => people.find().limit(ROWS).toArray(),
    close: () => client.close(),
  };
}
