// Finds and loads the native addon: the override, a binary built in place, or the installed platform package.
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { type Candidate, explainFailure, hintsFor } from './diagnosis.js';
import { detectHost, platformSuffixes, PUBLISHED_PLATFORMS, withLibcVersion } from './host.js';
import { type NativeHost, type NativeLoadAttempt, NativeLoadError } from './native-load-error.js';

/** The environment variable that names the binary to load instead of the installed one. */
const OVERRIDE = 'REPLICAVERSE_NATIVE_PATH';
const PACKAGE_ROOT = resolve(__dirname, '..', '..');

const requireFromHere = createRequire(__filename);

/**
 * Loads the native addon. Candidates, in this order: the file named by `REPLICAVERSE_NATIVE_PATH`, and then nothing
 * else; `replicaverse.<platform>.node` in the package's folder, which a build from source puts there; the platform
 * package that npm installs as an optional dependency.
 *
 * @throws {NativeLoadError} when none of them loads.
 */
export function loadAddon(): unknown {
  const host = detectHost();
  const override = process.env[OVERRIDE];
  const candidates = override ? [overrideCandidate(override)] : installedCandidates(host);
  const attempts: NativeLoadAttempt[] = [];
  for (const candidate of candidates) {
    try {
      return requireFromHere(candidate.locate());
    } catch (error) {
      attempts.push(explainFailure(candidate, host, error));
    }
  }
  const hints = override
    ? [`${OVERRIDE} is set, so nothing else was tried. Unset it, or point it at a binary that loads.`]
    : hintsFor(host);
  throw new NativeLoadError(withLibcVersion(host), attempts, hints);
}

function overrideCandidate(path: string): Candidate {
  return { name: `${OVERRIDE}=${path}`, locate: () => existingFile(resolve(path)) };
}

function installedCandidates(host: NativeHost): Candidate[] {
  const suffixes = platformSuffixes(host);
  const builtInPlace = suffixes.map((suffix) => {
    const path = join(PACKAGE_ROOT, `replicaverse.${suffix}.node`);
    return { name: path, locate: () => existingFile(path) };
  });
  const platformPackages = suffixes
    .filter((suffix) => PUBLISHED_PLATFORMS.includes(suffix))
    .map((suffix) => {
      const packageName = `@replicaverse/binding-${suffix}`;
      return { name: `package ${packageName}`, packageName, locate: () => binaryOfPackage(packageName) };
    });
  return [...builtInPlace, ...platformPackages];
}

function existingFile(path: string): string {
  if (!statSync(path).isFile()) throw new Error('it is not a file');
  return path;
}

/** A binary of another version than this code would fail later, and less clearly. */
function binaryOfPackage(packageName: string): string {
  const { version: installed } = requireFromHere(`${packageName}/package.json`) as { version: string };
  const { version: expected } = requireFromHere(join(PACKAGE_ROOT, 'package.json')) as { version: string };
  if (installed !== expected) throw new Error(`version ${installed} is installed, version ${expected} is needed`);
  return requireFromHere.resolve(packageName);
}
