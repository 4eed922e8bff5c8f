// Why the native addon did not load, in words, and what the user can do about it.
import { createRequire } from 'node:module';
import { readBinaryTarget } from './binary-format.js';
import { platformSuffixes, PUBLISHED_PLATFORMS, withLibcVersion } from './host.js';
import type { NativeHost, NativeLoadAttempt } from './native-load-error.js';

/** A place to load the addon from. */
export interface Candidate {
  /** How an error message calls it. */
  name: string;
  /** The npm package that it is, if it is one. */
  packageName?: string;
  /** Gives the path of the binary, or throws when there is none. */
  locate: () => string;
}

const requireFromHere = createRequire(__filename);

/** Puts into words why the candidate failed with `thrown`. */
export function explainFailure(candidate: Candidate, host: NativeHost, thrown: unknown): NativeLoadAttempt {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  return { candidate: candidate.name, reason: reasonFor(candidate, host, error), error };
}

/** What to do when neither a binary built in place nor a platform package could be loaded. */
export function hintsFor(host: NativeHost): string[] {
  const suffixes = platformSuffixes(host);
  if (!suffixes.some((suffix) => PUBLISHED_PLATFORMS.includes(suffix))) {
    return [
      `No binary is published for this platform; there are binaries for ${PUBLISHED_PLATFORMS.join(', ')}. ` +
        'With Rust installed, `npm run build` in a clone of the repository builds one.',
    ];
  }
  const installed = PUBLISHED_PLATFORMS.filter((suffix) => isInstalled(packageNameOf(suffix)));
  const fits = installed.some((suffix) => suffixes.includes(suffix));
  if (fits) return ['The platform package is there, but its binary does not load: install it again.'];
  return [...copiedFromElsewhere(installed), ...missingPackage()];
}

function reasonFor({ packageName, locate }: Candidate, host: NativeHost, error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (packageName !== undefined && !isInstalled(packageName)) return 'it is not installed';
  if (code !== 'ERR_DLOPEN_FAILED') return error.message;
  return [error.message, ...dlopenNotes(locate(), host, error)].join('; ');
}

/** What the dynamic loader's message leaves out: the file may be for another machine, or no binary at all. */
function dlopenNotes(path: string, host: NativeHost, error: Error): string[] {
  const notes: string[] = [];
  const target = readBinaryTarget(path);
  if (target === null) {
    notes.push('the file is not a native binary, it may be damaged or only partly downloaded');
  } else if (target.platform !== host.platform || target.arch !== host.arch) {
    notes.push(`the file is built for ${target.platform} ${target.arch}, this process is ${host.platform} ${host.arch}`);
  }
  if (/GLIBC_[\d.]+['’]? not found/.test(error.message)) {
    notes.push(`the system has glibc ${withLibcVersion(host).libcVersion ?? 'of an unknown version'}, which is too old`);
  }
  return notes;
}

function copiedFromElsewhere(installed: readonly string[]): string[] {
  if (installed.length === 0) return [];
  const names = installed.map(packageNameOf).join(', ');
  return [
    `Installed, but for another platform: ${names}. node_modules seems to be copied from another machine or image; ` +
      'install on the platform that runs the application.',
  ];
}

function missingPackage(): string[] {
  return [
    'The platform package is an optional dependency: npm leaves it out with `--omit=optional`, `--no-optional` or ' +
      '`omit=optional` in .npmrc. Install again without these.',
    'npm also leaves it out when package-lock.json was written on another platform ' +
      '(https://github.com/npm/cli/issues/4828): remove node_modules and package-lock.json and run `npm install`.',
    'In a clone of the repository, `npm run build` builds the addon.',
  ];
}

function packageNameOf(suffix: string): string {
  return `@replicaverse/binding-${suffix}`;
}

function isInstalled(packageName: string): boolean {
  try {
    requireFromHere.resolve(`${packageName}/package.json`);
    return true;
  } catch {
    return false;
  }
}
