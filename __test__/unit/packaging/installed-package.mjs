// An application with the package installed in it: what `npm pack` would publish, unpacked into its node_modules.
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryFolder } from '../../support/temporary-folder.mjs';

const run = promisify(execFile);

/** The folder of this repository. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The binary that the build made for this machine, and the platform it is for, as in `linux-x64-gnu`. */
export const builtAddon = findBuiltAddon();

/**
 * The files that `npm pack` puts into the package, relative to its folder.
 *
 * @returns {Promise<string[]>}
 */
export async function packedFiles() {
  // Test runners set npm variables of their own; --ignore-scripts keeps the output pure JSON.
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    shell: process.platform === 'win32',
  });
  /** @type {unknown} */
  const report = JSON.parse(stdout);
  // npm 10 and 11 give a list, later ones an object by package name.
  const [{ files }] = /** @type {[{ files: { path: string }[] }]} */ (Object.values(/** @type {object} */ (report)));
  return files.map(({ path }) => path);
}

/**
 * Makes an application folder with the packed package in node_modules, without any native binary.
 *
 * @param {readonly string[]} files the files of the package
 */
export async function createApplication(files) {
  const folder = await temporaryFolder('application');
  const installed = join(folder, 'node_modules', 'replicaverse');
  for (const file of files) {
    await mkdir(dirname(join(installed, file)), { recursive: true });
    await cp(join(ROOT, file), join(installed, file));
  }
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), link, 'junction');
  }
  return {
    folder,
    installed,
    /** Removes the application. */
    remove: () => rm(folder, { recursive: true, force: true }),
    /**
     * Installs the platform package, with this machine's binary or the given content in place of it.
     *
     * @param {string} platform
     * @param {{ version?: string, binary?: Buffer }} [options]
     */
    async installPlatformPackage(platform, { version, binary } = {}) {
      const target = join(folder, 'node_modules', '@replicaverse', `binding-${platform}`);
      const manifest = JSON.parse(await readFile(join(ROOT, 'npm', platform, 'package.json'), 'utf8'));
      await mkdir(target, { recursive: true });
      await writeFile(join(target, 'package.json'), JSON.stringify({ ...manifest, version: version ?? manifest.version }));
      await writeFile(join(target, manifest.main), binary ?? (await readFile(builtAddon.path)));
    },
    /**
     * Runs a CommonJS script in the application and gives what it printed, parsed as JSON.
     *
     * @param {string} script
     * @param {Record<string, string>} [env]
     */
    async evaluate(script, env = {}) {
      const { REPLICAVERSE_NATIVE_PATH: _unused, ...inherited } = process.env;
      const { stdout } = await run(process.execPath, ['--eval', script], { cwd: folder, env: { ...inherited, ...env } });
      return JSON.parse(stdout);
    },
  };
}

/** @returns {{ path: string, platform: string }} */
function findBuiltAddon() {
  for (const file of readdirSync(ROOT)) {
    const platform = /^replicaverse\.(.+)\.node$/.exec(file)?.[1];
    if (platform?.startsWith(`${process.platform}-${process.arch}`)) return { path: join(ROOT, file), platform };
  }
  throw new Error('the addon is not built: run `npm run build`');
}
