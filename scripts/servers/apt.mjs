// Installing Debian packages without starting their services: as root, or through `sudo -n`.
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder, exists } from './cache.mjs';
import { findProgram, lastLines, run } from './command.mjs';
import { withLock } from './lock.mjs';

/** @typedef {(message: string) => void} Log */

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const APT_OPTIONS = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];

/**
 * The words to put before a command so that it runs as root: none for root, `sudo -n` where that works.
 * @returns {Promise<string[] | undefined>} undefined when root is out of reach
 */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  const sudo = await findProgram(['sudo']);
  if (sudo === undefined) return undefined;
  const allowed = await run(sudo, ['-n', 'true'], { timeoutMs: 10_000 });
  return allowed.code === 0 ? [sudo, '-n'] : undefined;
}

/**
 * Why packages cannot be installed here.
 * @returns {Promise<string | undefined>} undefined when they can
 */
export async function whyNoApt() {
  if (process.platform !== 'linux' || (await findProgram(['apt-get'])) === undefined) return 'this system has no apt-get';
  if ((await rootPrefix()) === undefined) return 'installing packages needs root or a sudo without password';
  return undefined;
}

/**
 * The version that apt would install.
 * @param {string} name package
 * @returns {Promise<string | undefined>} undefined when no source offers it
 */
export async function candidateVersion(name) {
  const { stdout } = await run('apt-cache', ['policy', name], { env: quietEnvironment() });
  const version = /^\s*Candidate:\s*(\S+)/m.exec(stdout)?.[1];
  return version === undefined || version === '(none)' ? undefined : version;
}

/**
 * Downloads the package lists when there are none, as in a fresh container.
 * @param {Log} log
 * @returns {Promise<void>}
 */
export async function ensurePackageLists(log) {
  const lists = await readdir('/var/lib/apt/lists').catch(() => []);
  if (!lists.some((name) => name.includes('_Packages'))) await updateLists(log);
}

/**
 * Installs packages; no service of theirs is started. The lists are refreshed and the installation is tried
 * once more when the first attempt fails.
 * @param {readonly string[]} packages
 * @param {Log} log
 * @param {Record<string, string>} [temporaryFiles] configuration by path, there only during the installation
 * @returns {Promise<string | undefined>} the reason when it failed
 */
export async function installPackages(packages, log, temporaryFiles = {}) {
  const blocked = await whyNoApt();
  if (blocked !== undefined) return blocked;
  await ensurePackageLists(log);
  log(`installing ${packages.join(' ')} with apt`);
  // One at a time, or the first to finish would remove what keeps the other's services from starting.
  return withLock(path.join(cacheFolder(), 'apt.lock'), async () => {
    const files = { ...temporaryFiles };
    if (!(await exists(POLICY_FILE))) files[POLICY_FILE] = denyServicesWhileAlive(process.pid);
    const written = await writeAsRoot(files);
    try {
      let outcome = await aptInstall(packages);
      if (outcome.code !== 0) {
        await updateLists(log);
        outcome = await aptInstall(packages);
      }
      return outcome.code === 0 ? undefined : `apt-get install ${packages.join(' ')} failed: ${lastLines(outcome.stderr || outcome.stdout)}`;
    } finally {
      await removeAsRoot(written);
    }
  });
}

/** @param {readonly string[]} packages */
function aptInstall(packages) {
  return asRoot('apt-get', ['install', ...APT_OPTIONS, ...packages]);
}

/** @param {Log} log */
async function updateLists(log) {
  log('updating the package lists with apt');
  await asRoot('apt-get', ['update', '-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3']);
}

/**
 * A policy-rc.d that keeps services from starting as long as this process lives. Should the process be
 * killed before it removes the file, the file removes itself at its next use.
 * @param {number} pid
 */
function denyServicesWhileAlive(pid) {
  return `#!/bin/sh\nif kill -0 ${pid} 2>/dev/null; then exit 101; fi\nrm -f "$0"\nexit 0\n`;
}

/**
 * Writes files that do not exist yet, with their folders, executable and readable for all.
 * @param {Record<string, string>} files content by path
 * @returns {Promise<string[]>} what was made, in the order in which it can be removed
 */
async function writeAsRoot(files) {
  const made = [];
  for (const [file, content] of Object.entries(files)) {
    const folder = path.dirname(file);
    if (!(await exists(folder))) made.push(folder);
    const script = 'set -e; mkdir -p "$(dirname "$1")"; [ ! -e "$1" ]; umask 022; cat > "$1"; chmod 755 "$1"';
    const outcome = await asRoot('sh', ['-c', script, 'sh', file], content);
    if (outcome.code === 0) made.push(file);
  }
  return made.reverse();
}

/**
 * Removes the files, and the folders among them that are empty then.
 * @param {readonly string[]} made
 */
async function removeAsRoot(made) {
  if (made.length === 0) return;
  const script = 'for made; do if [ -d "$made" ]; then rmdir "$made" 2>/dev/null || true; else rm -f "$made"; fi; done';
  await asRoot('sh', ['-c', script, 'sh', ...made]);
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} [input]
 */
async function asRoot(program, args, input) {
  const prefix = await rootPrefix();
  if (prefix === undefined) return { code: 126, stdout: '', stderr: 'root is out of reach' };
  // sudo drops the environment, so the variables travel through env(1).
  const command = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', program, ...args];
  return run(command[0] ?? 'env', command.slice(1), { input, env: quietEnvironment() });
}

/** @returns {NodeJS.ProcessEnv} */
function quietEnvironment() {
  return { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
}
