// Runs of both sides, each in a process of its own on databases that were just made.
import { fileURLToPath } from 'node:url';
import { lastLines, run as runCommand } from '../../scripts/servers/command.mjs';

const PROGRAMS = {
  ours: fileURLToPath(new URL('ours-process.mjs', import.meta.url)),
  peer: fileURLToPath(new URL('peers/node-pg-migrate-process.mjs', import.meta.url)),
};

/** @typedef {{milliseconds: number, applied: number, bytes: number | null}} Run */

/**
 * A side and on how many of the clusters it runs.
 * @typedef {{name: string, side: 'ours' | 'peer', clusters: number}} Case
 */

/**
 * @param {number} clusters
 * @returns {Case[]}
 */
export function casesOf(clusters) {
  const one = /** @type {Case[]} */ ([{ name: 'replicaverse', side: 'ours', clusters: 1 }, { name: 'node-pg-migrate', side: 'peer', clusters: 1 }]);
  return clusters === 1 ? one : [{ name: 'replicaverse', side: 'ours', clusters }, ...one];
}

/**
 * @param {Case} measured
 * @param {readonly {createDatabase(name: string): Promise<string>}[]} servers
 * @param {{ours: string, peer: string}} folders
 * @param {{migrations: number}} options
 * @param {string} database the name of a database that does not exist
 * @returns {Promise<Run>}
 */
export async function measureRun({ side, clusters }, servers, folders, { migrations }, database) {
  const uris = await Promise.all(servers.slice(0, clusters).map((server) => server.createDatabase(database)));
  const outcome = await runCommand(process.execPath, [PROGRAMS[side], folders[side], ...uris]);
  if (outcome.code !== 0) throw new Error(`a run of ${side} failed:\n${lastLines(outcome.stderr, 20)}`);
  const run = JSON.parse(outcome.stdout);
  if (run.applied !== migrations * clusters) throw new Error(`${side} applied ${run.applied} of ${migrations * clusters} migrations`);
  return run;
}
