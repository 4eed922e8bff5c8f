// Finding MariaDB: MARIADBD, the system's binaries, else Debian's packages without a service.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { candidateVersion, ensurePackageLists, installPackages, whyNoApt } from './apt.mjs';
import { findProgram, run } from './command.mjs';

/**
 * @typedef {object} MariadbServer
 * @property {string} mariadbd the server
 * @property {string} installDb `mariadb-install-db`, which makes data folders
 * @property {string} client the command line client
 * @property {string} version as the server prints it
 * @property {string} source where it was found, for people
 */

/** @typedef {import('./index.mjs').Missing} Missing */

const FIX = 'install MariaDB 10.6 or newer (apt-get install mariadb-server-core mariadb-client-core, brew install mariadb), or set MARIADBD to its server program';
const HOMEBREW = ['/opt/homebrew/opt/mariadb/bin', '/usr/local/opt/mariadb/bin'];

/**
 * Looks for MariaDB without installing anything.
 * @returns {Promise<MariadbServer | Missing>}
 */
export async function findMariadb() {
  const override = process.env.MARIADBD;
  if (override !== undefined && override !== '') {
    const server = await inspect(override, 'MARIADBD');
    return 'reason' in server ? missing(`MARIADBD is ${override}: ${server.reason}`) : server;
  }
  const program = await findProgram(['mariadbd', ...HOMEBREW.map((folder) => `${folder}/mariadbd`)]);
  if (program === undefined) return missing('no MariaDB was found');
  const server = await inspect(program, 'system');
  return 'reason' in server ? missing(server.reason) : server;
}

/**
 * Installs the server and the client from Debian's packages that carry programs only: no service, no data.
 * @param {(message: string) => void} log
 * @returns {Promise<MariadbServer | Missing>}
 */
export async function installMariadb(log) {
  const blocked = await whyNoApt();
  if (blocked !== undefined) return missing(`no MariaDB was found, and ${blocked}`);
  await ensurePackageLists(log);
  const core = ['mariadb-server-core', 'mariadb-client-core'];
  const offered = await Promise.all(core.map(candidateVersion));
  const packages = offered.includes(undefined) ? ['mariadb-server', 'mariadb-client'] : core;
  const reason = await installPackages(packages, log);
  return reason === undefined ? findMariadb() : missing(reason);
}

/**
 * @param {string} mariadbd
 * @param {string} source
 * @returns {Promise<MariadbServer | {reason: string}>}
 */
async function inspect(mariadbd, source) {
  const outcome = await run(mariadbd, ['--no-defaults', '--version']);
  if (outcome.code !== 0) return { reason: `it does not run: ${outcome.stderr.trim()}` };
  if (!/MariaDB/i.test(outcome.stdout)) return { reason: `it is not MariaDB: ${outcome.stdout.trim()}` };
  const version = /Ver (\S+)/.exec(outcome.stdout)?.[1] ?? outcome.stdout.trim();
  const base = path.dirname(path.dirname(await realpath(mariadbd)));
  const beside = ['bin', 'scripts'].map((folder) => path.join(base, folder));
  const installDb = await findProgram([...beside.map((folder) => path.join(folder, 'mariadb-install-db')), 'mariadb-install-db']);
  const client = await findProgram([path.join(base, 'bin', 'mariadb'), 'mariadb']);
  if (installDb === undefined) return { reason: 'its mariadb-install-db was not found' };
  if (client === undefined) return { reason: 'its client program mariadb was not found' };
  return { mariadbd, installDb, client, version, source };
}

/**
 * @param {string} reason
 * @returns {Missing}
 */
function missing(reason) {
  return { server: 'mariadb', reason, fix: FIX };
}
