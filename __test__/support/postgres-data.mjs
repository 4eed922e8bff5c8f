// Data folders for PostgreSQL: copied from a template that initdb made once per server version.
import { randomUUID } from 'node:crypto';
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached, cacheFolder } from '../../scripts/servers/cache.mjs';
import { lastLines, run, runOrThrow } from '../../scripts/servers/command.mjs';
import { handOver, handOverFile } from './account.mjs';
import { createDataFolder, createServerFolder } from './server-folder.mjs';
import { serverEnvironment } from './server-process.mjs';

/** @typedef {import('./account.mjs').Account} Account */
/** @typedef {import('./server-folder.mjs').ServerFolder} ServerFolder */

// Goes up when the way templates are made changes.
const TEMPLATE_FORMAT = 1;

/**
 * Makes the data folder of a new cluster.
 * @param {string} bin PostgreSQL's programs
 * @param {ServerFolder} folder
 * @param {Account | undefined} account
 */
export async function copyTemplate(bin, folder, account) {
  const printed = await runOrThrow(path.join(bin, 'postgres'), ['--version']);
  const version = printed.replace(/^postgres \(PostgreSQL\)/, '').match(/[\w.]+/g) ?? [];
  const name = `postgres-data-${TEMPLATE_FORMAT}-${version.join('-')}`;
  const template = await cached(cacheFolder(), name, (draft) => makeTemplate(bin, account, draft));
  await runOrThrow('cp', ['-R', path.join(template, 'data'), folder.data]);
  await runOrThrow('chmod', ['-R', 'u+rwX,go-rwx', folder.data]);
  await handOver(folder.data, account);
}

/**
 * @param {string} bin
 * @param {Account | undefined} account
 * @param {string} draft
 */
async function makeTemplate(bin, account, draft) {
  // The cache may lie where the account cannot go, so initdb works in a temporary folder.
  const folder = await createServerFolder(account);
  try {
    await createDataFolder(folder, account);
    const flags = ['-D', folder.data, '-U', 'postgres', '-E', 'UTF8', '--auth=scram-sha-256', '--no-sync', '--no-instructions'];
    const options = { ...identity(account), cwd: folder.root, env: serverEnvironment(), input: '' };
    const passwordFile = await writePasswordFile(folder, account);
    const initdb = (/** @type {string} */ locale) =>
      run(path.join(bin, 'initdb'), [...flags, `--pwfile=${passwordFile}`, `--locale=${locale}`], options);
    // Not every system has the UTF-8 variety of the C locale; both sort alike.
    if ((await initdb('C.UTF-8')).code !== 0) {
      await rm(folder.data, { recursive: true, force: true });
      await createDataFolder(folder, account);
      const outcome = await initdb('C');
      if (outcome.code !== 0) throw new Error(`initdb failed: ${outcome.stderr}`);
    }
    await cp(folder.data, path.join(draft, 'data'), { recursive: true });
  } finally {
    await folder.remove();
  }
}

/**
 * initdb demands a password for scram; each cluster replaces it before it listens.
 * @param {ServerFolder} folder
 * @param {Account | undefined} account
 */
async function writePasswordFile(folder, account) {
  const place = await mkdtemp(path.join(folder.root, 'password-'));
  const file = path.join(place, 'password');
  await writeFile(file, randomUUID(), { mode: 0o600 });
  await handOverFile(place, account);
  await handOverFile(file, account);
  return file;
}

/**
 * Appends settings to the cluster's configuration, where `ALTER SYSTEM` still overrides them.
 * @param {ServerFolder} folder
 * @param {Record<string, string | number | boolean>} settings
 */
export async function writeSettings(folder, settings) {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`);
  await appendFile(path.join(folder.data, 'postgresql.conf'), lines.join(''));
}

/**
 * Replaces the cluster's rules of who may connect how.
 * @param {ServerFolder} folder
 * @param {readonly string[]} lines in the format of pg_hba.conf
 */
export async function writeHba(folder, lines) {
  await writeFile(path.join(folder.data, 'pg_hba.conf'), `${lines.join('\n')}\n`);
}

/**
 * Sets the superuser's password and makes the first database, in a server without network.
 * @param {string} bin
 * @param {ServerFolder} folder
 * @param {Account | undefined} account
 * @param {{password: string, database: string}} wanted
 */
export async function prepareCluster(bin, folder, account, { password, database }) {
  // Every line is one statement in single-user mode.
  const input = [`ALTER ROLE postgres PASSWORD ${quoteLiteral(password)}`];
  if (database !== 'postgres') input.push(`CREATE DATABASE ${quoteIdentifier(database)}`);
  // The statement holds the password and must not get into messages.
  const flags = ['--single', '-D', folder.data, '-c', 'log_statement=none', '-c', 'log_min_error_statement=panic'];
  const outcome = await run(path.join(bin, 'postgres'), [...flags, 'postgres'], {
    ...identity(account),
    cwd: folder.data,
    env: serverEnvironment(),
    input: `${input.join('\n')}\n`,
  });
  // Single-user mode goes on after a failed statement and ends with 0; only its messages tell.
  if (outcome.code !== 0 || /ERROR:|FATAL:|PANIC:/.test(outcome.stderr)) {
    throw new Error(`a new PostgreSQL cluster could not be prepared: ${lastLines(outcome.stderr)}`);
  }
}

/**
 * @param {string} name
 * @returns {string}
 */
export function quoteIdentifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * @param {string} text
 * @returns {string}
 */
function quoteLiteral(text) {
  // Single-user mode takes a line break for the end of the statement.
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'`;
}

/** @param {Account | undefined} account */
function identity(account) {
  return account === undefined ? {} : { uid: account.uid, gid: account.gid };
}
