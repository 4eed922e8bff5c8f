// Temporary folders that are gone when the process that made them is gone, however it ended.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guardian } from './guardian.mjs';

/**
 * Makes a folder of its own. It may be removed before; else the guardian removes it after the process.
 *
 * @param {string} purpose stands in its name
 * @returns {Promise<string>} its path
 */
export async function temporaryFolder(purpose) {
  const folder = await mkdtemp(join(tmpdir(), `replicaverse-${purpose}-`));
  guardian().addPath(folder);
  return folder;
}
