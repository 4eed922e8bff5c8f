// What a database URI says: the dialect, the place, and whether two URIs lead to the same database.
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from './options.mjs';

/**
 * @typedef {object} Database
 * @property {'postgres' | 'mongodb' | 'mariadb' | 'sqlite'} dialect
 * @property {string} uri may hold a password: never to be printed
 * @property {string} label for a person, without user and password
 * @property {string} [file] of SQLite, absolute
 * @property {string[]} places normalised; two databases that share one are the same
 */

/** @type {{scheme: RegExp, dialect: 'postgres' | 'mongodb' | 'mariadb', name: string, port: string}[]} */
const SERVERS = [
  { scheme: /^postgres(ql)?:$/i, dialect: 'postgres', name: 'PostgreSQL', port: '5432' },
  { scheme: /^mongodb(\+srv)?:$/i, dialect: 'mongodb', name: 'MongoDB', port: '27017' },
  // Which of the two it is, the dialect asks the server.
  { scheme: /^(mysql|mariadb):$/i, dialect: 'mariadb', name: 'MySQL', port: '3306' },
];

/**
 * @param {string} uri
 * @returns {Database}
 * @throws {UsageError} for a dialect that is not known; the message does not hold the URI
 */
export function databaseOf(uri) {
  const scheme = /^([a-z][a-z\d+.-]*:)\/\//i.exec(uri)?.[1];
  if (scheme === undefined || /^(sqlite|file):/i.test(uri)) return sqliteDatabase(uri);
  const server = SERVERS.find((known) => known.scheme.test(scheme));
  if (server === undefined) {
    throw new UsageError(`a URI that begins with ${scheme}// is not known; there is postgresql://, mongodb://, mysql://, mariadb://, sqlite: and file:`);
  }
  return serverDatabase(uri, server);
}

/**
 * The URI, with what is secret in it replaced.
 * @param {string} uri
 * @returns {string}
 */
export function maskPassword(uri) {
  return uri.replace(/^([a-z][a-z\d+.-]*:\/\/[^:@/?]*):.*@/i, '$1:***@').replace(/([?&][^=&]*password=)[^&]*/gi, '$1***');
}

/**
 * Refuses a target that is the source, and a target that is given twice.
 * @param {Database} source
 * @param {readonly Database[]} targets
 * @throws {UsageError}
 */
export function refuseSameDatabase(source, targets) {
  for (const [index, target] of targets.entries()) {
    if (isSame(source, target)) throw new UsageError(`source and target are the same database: ${target.label}`);
    if (targets.slice(0, index).some((other) => isSame(other, target))) {
      throw new UsageError(`the target is given twice: ${target.label}`);
    }
  }
}

/**
 * @param {Database} one
 * @param {Database} other
 */
function isSame(one, other) {
  return one.dialect === other.dialect && one.places.some((place) => other.places.includes(place));
}

/**
 * @param {string} uri
 * @returns {Database}
 */
function sqliteDatabase(uri) {
  const isUri = /^(sqlite|file):/i.test(uri);
  const name = isUri ? decoded(uri.replace(/^\w+:(\/\/)?/, '').replace(/\?.*$/, '')) : uri;
  if (name === '' || name === ':memory:' || /[?&]mode=memory/.test(uri)) {
    throw new UsageError('SQLite needs the path of a file here; a database in memory would be gone at the end');
  }
  const file = realPath(path.resolve(name));
  return { dialect: 'sqlite', uri, label: `SQLite ${name}`, file, places: [file] };
}

/**
 * @param {string} uri
 * @param {typeof SERVERS[number]} server
 * @returns {Database}
 */
function serverDatabase(uri, { dialect, name, port: defaultPort }) {
  // Not every such URI is one for `URL`: there may be several hosts, and none at all.
  const [, user = '', authority = '', databaseName = '', query = ''] =
    /^[^:]+:\/\/(?:([^:@/?]*)[^/?]*@)?([^/?]*)\/?([^?]*)\??(.*)$/.exec(uri) ?? [];
  const parameters = new URLSearchParams(query);
  const isPostgres = dialect === 'postgres';
  const hosts = ((isPostgres && parameters.get('host')) || authority || 'localhost').split(',');
  const ports = isPostgres ? (parameters.get('port') ?? '').split(',') : [];
  const database = (isPostgres && parameters.get('dbname')) || decoded(databaseName) || (isPostgres ? decoded(user) : 'test');
  const addresses = hosts.map((host, index) => address(decoded(host), ports[index] || ports[0] || defaultPort));
  return {
    dialect,
    uri,
    label: `${name} ${database} on ${addresses.join(',')}`,
    places: addresses.map((one) => `${one}/${database}`),
  };
}

/**
 * @param {string} host with or without a port; a folder for a unix socket
 * @param {string} defaultPort
 */
function address(host, defaultPort) {
  const [, name = '', port = defaultPort] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  const isThisMachine = name === '' || name.startsWith('/') || /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/i.test(name);
  return `${isThisMachine ? 'localhost' : name.toLowerCase()}:${port}`;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The file itself, where the path leads through links. What does not exist yet has no other name.
 * @param {string} file
 */
function realPath(file) {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
