// The error thrown when the native addon cannot be loaded, with every place tried and its own reason.

/** One place where the addon was looked for, and why it was not loaded from there. */
export interface NativeLoadAttempt {
  /** A file path, or the name of a platform package. */
  candidate: string;
  /** The reason in words. */
  reason: string;
  /** What Node.js or the file system reported. */
  error: Error;
}

/** The running process, as far as it decides which binary fits. */
export interface NativeHost {
  /** `process.platform`. */
  platform: string;
  /** `process.arch`. */
  arch: string;
  /** The C library of the process; `null` where there is no choice (macOS, Windows) or it is unknown. */
  libc: 'glibc' | 'musl' | null;
  /** The version of glibc, where it is known. */
  libcVersion: string | null;
}

/** No native addon could be loaded. `attempts` holds every candidate; `cause` is the most telling failure of them. */
export class NativeLoadError extends Error {
  override readonly name = 'NativeLoadError';
  /** Always `ERR_NATIVE_LOAD`. */
  readonly code = 'ERR_NATIVE_LOAD';
  /** Loading again without a change to the installation fails the same way. */
  readonly retryable = false;
  /** The platform for which a binary was looked for. */
  readonly host: NativeHost;
  /** Every candidate, in the order tried. */
  declare readonly attempts: readonly NativeLoadAttempt[];

  /** `hints` are sentences that tell the user what to do; they end the message. */
  constructor(host: NativeHost, attempts: readonly NativeLoadAttempt[], hints: readonly string[]) {
    super(describe(host, attempts, hints), { cause: mostTellingError(attempts) });
    this.host = host;
    // The message tells all of it; printed with their stacks, the attempts would bury it.
    Object.defineProperty(this, 'attempts', { value: attempts, enumerable: false });
  }
}

function describe(host: NativeHost, attempts: readonly NativeLoadAttempt[], hints: readonly string[]): string {
  return [
    `The native addon of replicaverse could not be loaded on ${describeHost(host)}. Tried:`,
    ...attempts.map(({ candidate, reason }, index) => `  ${index + 1}. ${candidate}: ${reason}`),
    ...hints.map((hint) => `- ${hint}`),
  ].join('\n');
}

function describeHost({ platform, arch, libc, libcVersion }: NativeHost): string {
  const libcPart = platform !== 'linux' ? '' : ` with ${[libc ?? 'an unknown libc', libcVersion].filter(Boolean).join(' ')}`;
  return `${platform} ${arch}${libcPart} (Node.js ${process.version})`;
}

/** A binary that is there and does not load says more than a place where there is none. */
function mostTellingError(attempts: readonly NativeLoadAttempt[]): Error | undefined {
  const isAbsence = (error: NodeJS.ErrnoException) => error.code === 'ENOENT' || error.code === 'MODULE_NOT_FOUND';
  return (attempts.find(({ error }) => !isAbsence(error)) ?? attempts.at(-1))?.error;
}
