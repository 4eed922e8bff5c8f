// Compiles lib/ to dist/ as CommonJS with declarations, then adds the ES module entries. The addon must be built.
import { spawnSync } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeEsmWrappers } from './esm-wrappers.mjs';
import { packageRoot } from './package-entries.mjs';

const DIST = join(packageRoot, 'dist');
const EMITTED = 'TSFILE: ';

/**
 * Brings dist/ up to date with lib/.
 *
 * @throws {Error} when the sources have type errors (which are printed), or the addon does not load.
 */
export async function compileLibrary() {
  const current = new Set([...compile(), ...(await writeEsmWrappers())]);
  await removeAllBut(current);
}

/**
 * Compiles the TypeScript sources and gives the paths of the files written.
 *
 * @returns {string[]}
 */
function compile() {
  const compiler = join(packageRoot, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [compiler, '-p', join(packageRoot, 'tsconfig.build.json'), '--listEmittedFiles'];
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: packageRoot,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = (stdout ?? '').split(/\r?\n/).filter((line) => line !== '');
  const messages = lines.filter((line) => !line.startsWith(EMITTED));
  if (messages.length > 0) console.error(messages.join('\n'));
  if (status !== 0) throw new Error('lib/ does not compile');
  return lines.filter((line) => line.startsWith(EMITTED)).map((line) => resolve(line.slice(EMITTED.length)));
}

/**
 * What was compiled from a source that is gone must not stay in the package.
 *
 * @param {Set<string>} current
 */
async function removeAllBut(current) {
  for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
    // Node.js before 20.12 knows the folder only as `path`.
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && !current.has(path)) await rm(path);
  }
}
