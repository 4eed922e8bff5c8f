// The servers that tests and the demo run against: find them, install what is missing, say what cannot be had.
import { findChromium, installChromium } from './chromium.mjs';
import { findMariadb, installMariadb } from './mariadb.mjs';
import { findMongodb, installMongodb } from './mongodb.mjs';
import { findPostgres, installPostgres } from './postgres.mjs';
import { findRedis, installRedis } from './redis.mjs';

/** @typedef {'postgres' | 'mongodb' | 'mariadb' | 'redis' | 'chromium'} ServerName */

/**
 * A server that cannot be had.
 * @typedef {object} Missing
 * @property {ServerName} server
 * @property {string} reason what was tried and why it failed
 * @property {string} fix what a person can do about it
 */

/**
 * @typedef {object} FoundServers
 * @property {import('./postgres.mjs').PostgresServer} [postgres]
 * @property {import('./mongodb.mjs').MongodbServer} [mongodb]
 * @property {import('./mariadb.mjs').MariadbServer} [mariadb]
 * @property {import('./redis.mjs').RedisServer} [redis]
 * @property {import('./chromium.mjs').ChromiumBrowser} [chromium]
 * @property {Missing[]} missing every wanted server that is not among the others
 */

const FINDERS = {
  postgres: { find: findPostgres, install: installPostgres },
  mongodb: { find: findMongodb, install: installMongodb },
  mariadb: { find: findMariadb, install: installMariadb },
  redis: { find: findRedis, install: installRedis },
  chromium: { find: findChromium, install: installChromium },
};

/** The environment variables that name a server; where one is set, nothing else is tried. */
const OVERRIDES = {
  postgres: ['PG_BIN'],
  mongodb: ['MONGODB_URI', 'MONGOD_BINARY'],
  mariadb: ['MARIADBD'],
  redis: ['REDIS_SERVER'],
  chromium: ['CHROMIUM'],
};

/**
 * Finds the wanted servers and installs those that are not there. Installing happens one after the other,
 * because package managers lock. A server named by the environment is never replaced by another.
 * @param {object} options
 * @param {readonly ServerName[]} options.need
 * @param {(message: string) => void} [options.log] told what is being installed
 * @returns {Promise<FoundServers>}
 */
export async function ensureServers({ need, log = () => undefined }) {
  const wanted = [...new Set(need)];
  const looked = await Promise.all(wanted.map((name) => FINDERS[name].find()));
  /** @type {FoundServers} */
  const found = { missing: [] };
  for (const [index, name] of wanted.entries()) {
    let server = looked[index];
    if (server === undefined) continue;
    if ('reason' in server && !isOverridden(name)) server = await FINDERS[name].install(log);
    if ('reason' in server) found.missing.push(server);
    else Object.assign(found, { [name]: server });
  }
  return found;
}

/**
 * Finds one server without installing anything.
 * @template {ServerName} Name
 * @param {Name} name
 * @returns {Promise<NonNullable<FoundServers[Name]>>}
 * @throws {Error} naming the server, the reason and the remedy
 */
export async function requireServer(name) {
  const server = await FINDERS[name].find();
  if ('reason' in server) throw new Error(describeMissing([server]));
  return /** @type {NonNullable<FoundServers[Name]>} */ (server);
}

/**
 * The environment variables that lead child processes to the same servers.
 * @param {FoundServers} found
 * @returns {Record<string, string>}
 */
export function serverEnvironment(found) {
  /** @type {Record<string, string | undefined>} */
  const variables = {
    PG_BIN: found.postgres?.bin,
    MONGODB_URI: found.mongodb?.uri,
    MONGOD_BINARY: found.mongodb?.mongod,
    MARIADBD: found.mariadb?.mariadbd,
    REDIS_SERVER: found.redis?.redisServer,
    CHROMIUM: found.chromium?.chromium,
  };
  /** @type {Record<string, string>} */
  const set = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) set[name] = value;
  }
  return set;
}

/**
 * What is missing, by name, with the remedy; empty when nothing is.
 * @param {readonly Missing[]} missing
 * @returns {string}
 */
export function describeMissing(missing) {
  return missing.map(({ server, reason, fix }) => `missing server: ${server}\n  reason: ${reason}\n  fix:    ${fix}`).join('\n');
}

/** @param {ServerName} name */
function isOverridden(name) {
  return OVERRIDES[name].some((variable) => (process.env[variable] ?? '') !== '');
}
