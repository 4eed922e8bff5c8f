// Finding Redis: REDIS_SERVER, the system's binary, else Debian's package without its service.
import { installPackages } from './apt.mjs';
import { findProgram, run } from './command.mjs';

/**
 * @typedef {object} RedisServer
 * @property {string} redisServer the program
 * @property {string} version
 * @property {string} source where it was found, for people
 */

/** @typedef {import('./index.mjs').Missing} Missing */

const FIX = 'install Redis 6 or newer (apt-get install redis-server, brew install redis), or set REDIS_SERVER to its server program';

/**
 * Looks for Redis without installing anything.
 * @returns {Promise<RedisServer | Missing>}
 */
export async function findRedis() {
  const override = process.env.REDIS_SERVER;
  if (override !== undefined && override !== '') {
    const server = await inspect(override, 'REDIS_SERVER');
    return 'reason' in server ? missing(`REDIS_SERVER is ${override}: ${server.reason}`) : server;
  }
  const program = await findProgram(['redis-server', '/opt/homebrew/opt/redis/bin/redis-server', 'valkey-server']);
  if (program === undefined) return missing('no Redis was found');
  const server = await inspect(program, 'system');
  return 'reason' in server ? missing(server.reason) : server;
}

/**
 * Installs Debian's package; its service is not started.
 * @param {(message: string) => void} log
 * @returns {Promise<RedisServer | Missing>}
 */
export async function installRedis(log) {
  const reason = await installPackages(['redis-server'], log);
  return reason === undefined ? findRedis() : missing(`no Redis was found, and ${reason}`);
}

/**
 * @param {string} redisServer
 * @param {string} source
 * @returns {Promise<RedisServer | {reason: string}>}
 */
async function inspect(redisServer, source) {
  const outcome = await run(redisServer, ['--version']);
  const version = /v=(\S+)/.exec(outcome.stdout)?.[1];
  if (outcome.code !== 0 || version === undefined) return { reason: `it does not run: ${outcome.stderr.trim() || outcome.stdout.trim()}` };
  return { redisServer, version, source };
}

/**
 * @param {string} reason
 * @returns {Missing}
 */
function missing(reason) {
  return { server: 'redis', reason, fix: FIX };
}
