// The errors of migrations, from what the native core tells of them.
import { ReplicaverseError } from '../../errors.js';
import { DatabaseError, type ServerReport } from '../failures.js';
import type { MigrationPlace } from './types.js';

/** A migration that failed at a place. */
export interface MigrationFailure extends MigrationPlace {
  /** What the migration threw, or what the server said. */
  error: Error;
}

/** Why migrations stopped. Those that `failures` does not name were applied, or not begun. */
export class MigrationError extends ReplicaverseError {
  readonly failures: MigrationFailure[];

  constructor(message: string, code: string, retryable: boolean, failures: MigrationFailure[], cause?: unknown) {
    super(message, { kind: 'Migration', code, retryable, cause });
    this.failures = failures;
  }
}
Object.defineProperty(MigrationError.prototype, 'name', { value: 'MigrationError', configurable: true, writable: true });

/** What the core tells of an error; see src/multiverse/migration.rs. */
interface NativeError {
  code: string;
  message: string;
  retryable: boolean;
  thrown: number | null;
  server: ServerReport | null;
  failures: (MigrationPlace & { error: NativeError })[];
}

/** What functions of migrations threw, by number: errors keep their identity on their way through the core. */
export class ThrownErrors {
  readonly #errors = new Map<number, Error>();
  #next = 1;

  /** Keeps what was thrown; gives what the core is told of it, as JSON. */
  keep(thrown: unknown): string {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const number = this.#next++;
    this.#errors.set(number, error);
    const { code } = error as { code?: unknown };
    return JSON.stringify({ message: error.message, code: typeof code === 'string' ? code : null, thrown: number });
  }

  get(number: number | null | undefined): Error | undefined {
    return typeof number === 'number' ? this.#errors.get(number) : undefined;
  }

  clear(): void {
    this.#errors.clear();
  }
}

/** The error to throw in place of what the core threw; anything else is given back unchanged. */
export function migrationErrorOf(thrown: unknown, kept: ThrownErrors): unknown {
  if (!(thrown instanceof Error) || !thrown.message.startsWith('{')) return thrown;
  const error = errorOf(JSON.parse(thrown.message) as NativeError, kept);
  Error.captureStackTrace(error, migrationErrorOf);
  return error;
}

function errorOf(native: NativeError, kept: ThrownErrors): Error {
  const failures = native.failures.map(({ error, ...place }) => ({ ...place, error: kept.get(error.thrown) ?? errorOf(error, kept) }));
  const cause = failures[0]?.error ?? kept.get(native.thrown) ?? causeOf(native);
  return new MigrationError(native.message, native.code, native.retryable, failures, cause);
}

function causeOf({ server, message, retryable }: NativeError): Error | undefined {
  if (server === null) return undefined;
  // The core's message is the server's own with the place before it.
  return new DatabaseError(message.slice(message.lastIndexOf(': ') + 2), server, retryable);
}
