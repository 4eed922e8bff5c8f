// Which binaries fit the running process: its platform, architecture and C library.
import type { NativeHost } from './native-load-error.js';
import { readElfInterpreter } from './binary-format.js';

/** The suffixes of the published platform packages, by `process.platform` and `process.arch`. */
const PUBLISHED: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['linux-x64-gnu', 'linux-x64-musl'],
  'linux-arm64': ['linux-arm64-gnu', 'linux-arm64-musl'],
  'darwin-x64': ['darwin-x64'],
  'darwin-arm64': ['darwin-arm64'],
  'win32-x64': ['win32-x64-msvc'],
};

/** Every platform for which a package is published, as in `linux-x64-gnu`. */
export const PUBLISHED_PLATFORMS: readonly string[] = Object.values(PUBLISHED).flat();

/** Describes the running process. */
export function detectHost(): NativeHost {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch, libc: null, libcVersion: null };
  const interpreter = interpreterOfThisProcess();
  if (interpreter?.includes('musl')) return { platform, arch, libc: 'musl', libcVersion: null };
  if (interpreter?.includes('ld-linux')) return { platform, arch, libc: 'glibc', libcVersion: null };
  const libcVersion = runningGlibcVersion();
  return { platform, arch, libc: libcVersion === null ? null : 'glibc', libcVersion };
}

/**
 * The same host with the version of its glibc, for an error message. It is not looked up on the way to success,
 * because the diagnostic report that holds it is slow in a process with many sockets.
 */
export function withLibcVersion(host: NativeHost): NativeHost {
  return host.libc === 'glibc' ? { ...host, libcVersion: host.libcVersion ?? runningGlibcVersion() } : host;
}

/**
 * The suffixes of the binaries that fit, best first: `['linux-x64-gnu']`. With an unknown C library both are worth
 * a try. An unpublished platform gets the suffix that a build from source gives its binary.
 */
export function platformSuffixes({ platform, arch, libc }: NativeHost): readonly string[] {
  const suffixes = PUBLISHED[`${platform}-${arch}`] ?? [`${platform}-${arch}`];
  if (libc === null || suffixes.length === 1) return suffixes;
  return suffixes.filter((suffix) => suffix.endsWith(libc === 'musl' ? '-musl' : '-gnu'));
}

function interpreterOfThisProcess(): string | null {
  try {
    return readElfInterpreter(process.execPath);
  } catch {
    // The executable may be unreadable or replaced; the diagnostic report still answers.
    return null;
  }
}

function runningGlibcVersion(): string | null {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined;
  if (report === undefined) return null;
  const { excludeNetwork } = report;
  // Naming the peers of open sockets would make the report wait for DNS.
  report.excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime ?? null;
  } finally {
    if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  }
}
