// The two things that are built: the native addon by the napi CLI, and dist/ from lib/ by the TypeScript compiler.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, isUpToDate, recordBuild } from './build-state.mjs';
import { compileLibrary } from './compile-lib.mjs';
import { packageManifest, packageRoot } from './package-entries.mjs';
import { runNodeTool } from './run-command.mjs';

/** @typedef {'release' | 'debug'} Profile */

const DECLARATIONS = 'native.d.ts';

/** @type {import('./build-state.mjs').Product} */
const ADDON = {
  name: 'addon',
  sources: ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo', 'src', 'crates'],
  exists: () => existsSync(join(packageRoot, DECLARATIONS)) && readdirSync(packageRoot).some(isAddonFile),
};

/** @type {import('./build-state.mjs').Product} */
const LIBRARY = {
  name: 'library',
  sources: [
    'lib',
    DECLARATIONS,
    'package.json',
    'tsconfig.base.json',
    'tsconfig.build.json',
    'scripts/compile-lib.mjs',
    'scripts/esm-wrappers.mjs',
    'scripts/package-entries.mjs',
  ],
  exists: () => existsSync(join(packageRoot, 'dist', 'index.js')) && existsSync(join(packageRoot, 'dist', 'index.mjs')),
};

/**
 * Builds the addon for this machine and writes its declarations to native.d.ts.
 *
 * @param {Profile} profile
 * @throws {Error} when it does not build; the compiler's messages are printed.
 */
export async function buildAddon(profile) {
  const builtFrom = fingerprint(ADDON);
  const args = ['build', '--platform', '--no-js', '--no-const-enum', '--dts', DECLARATIONS];
  if (profile === 'release') args.push('--release');
  const { status } = await runNodeTool('@napi-rs/cli/dist/cli.js', args);
  if (status !== 0) throw new Error('the native addon does not build');
  recordBuild(ADDON, builtFrom, profile);
}

/**
 * Compiles lib/ to dist/.
 *
 * @throws {Error} when it does not compile, or the addon does not load.
 */
export async function buildLibrary() {
  const builtFrom = fingerprint(LIBRARY);
  await compileLibrary();
  recordBuild(LIBRARY, builtFrom, 'release');
}

/**
 * Builds what is missing or older than its sources. Without a profile any up-to-date addon is good enough, and a
 * stale one is replaced by a release build.
 *
 * @param {object} options
 * @param {Profile} [options.profile]
 * @param {(message: string) => void} options.log
 */
export async function buildIfStale({ profile, log }) {
  if (!isUpToDate(ADDON, profile)) {
    log('building the native addon (the first time takes some minutes)');
    await buildAddon(profile ?? 'release');
  }
  if (!isUpToDate(LIBRARY)) {
    log('compiling lib/ to dist/');
    await buildLibrary();
  }
}

/** @param {string} file */
function isAddonFile(file) {
  return file.startsWith(`${packageManifest().napi.binaryName}.`) && file.endsWith('.node');
}
