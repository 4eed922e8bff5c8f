// Makes a clone ready to run: checks the tools, installs the npm packages, builds what is missing or stale.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildIfStale } from './build-products.mjs';
import { packageRoot } from './package-entries.mjs';
import { checkRequiredTools } from './required-tools.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Every step is skipped when there is nothing to do, so that a second run takes a moment.
 *
 * @param {object} options
 * @param {(message: string) => void} options.log told what is being done, when something is
 * @param {import('./build-products.mjs').Profile} [options.profile] the addon's profile, any when not given
 * @param {boolean} [options.built] take the addon and dist/ that are there, and need no compiler
 * @throws {Error} that names what is missing or what failed.
 */
export async function prepare({ log, profile, built = false }) {
  checkRequiredTools({ toBuild: !built });
  if (!packagesAreInstalled()) {
    log('installing npm packages');
    const { status } = await runCommand('npm', ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']);
    if (status !== 0) throw new Error('npm ci failed');
  }
  if (!built) await buildIfStale({ profile, log });
}

/** Whether node_modules holds what package-lock.json asks for. Optional packages of other platforms are not there. */
function packagesAreInstalled() {
  const wanted = lockedPackages(join(packageRoot, 'package-lock.json'));
  const installed = lockedPackages(join(packageRoot, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional === true || installed[path]?.version === version,
  );
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, optional?: boolean }> | undefined}
 */
function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
