// Where the figures were measured: the machine, and the versions of what ran.
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { serverVersion } from './target.mjs';

const LOCK = new URL('../../Cargo.lock', import.meta.url);
const MANIFEST = new URL('../../package.json', import.meta.url);

/** Crates whose versions decide the figures, and what to call them. */
const CRATES = { mongodb: 'Rust driver mongodb', sqlx: 'sqlx', rusqlite: 'rusqlite' };

/**
 * @typedef {object} Surroundings
 * @property {string} date
 * @property {string} machine
 * @property {string[]} versions
 */

/**
 * @param {readonly import('./databases.mjs').Pair[]} pairs
 * @returns {Promise<Surroundings>}
 */
export async function readSurroundings(pairs) {
  const servers = await Promise.all(pairs.flatMap(({ source, target }) => [serverVersion(source), serverVersion(target)]));
  const { name, version } = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  const own = [`${name} ${version}`, `Node ${process.versions.node}`];
  return {
    ...readMachine(),
    versions: [...new Set([...own, ...servers.flatMap((server) => server ?? []), ...crateVersions()])],
  };
}

/** @returns {{date: string, machine: string}} */
export function readMachine() {
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release().split('-')[0]}`,
  };
}

function crateVersions() {
  const lock = readFileSync(fileURLToPath(LOCK), 'utf8');
  return Object.entries(CRATES).flatMap(([crate, label]) => {
    const version = new RegExp(`^name = "${crate}"\\nversion = "([^"]+)"`, 'm').exec(lock)?.[1];
    return version === undefined ? [] : [`${label} ${version}`];
  });
}
