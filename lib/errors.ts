// The errors of this package, also those that come from the native core.

/** What went wrong, as far as a caller may want to act on it. */
export type ErrorKind =
  /** The call does not fit the state of things: an unknown name, or one that is taken. */
  | 'Usage'
  | 'Config'
  | 'UnknownDialect'
  | 'Connection'
  | 'Authentication'
  | 'Timeout'
  | 'Schema'
  | 'UnknownEntity'
  | 'UnknownTable'
  | 'Filter'
  | 'Value'
  | 'UniqueViolation'
  | 'NotNullViolation'
  | 'ForeignKeyViolation'
  | 'CheckViolation'
  | 'NoPrimaryKey'
  | 'ReadOnly'
  | 'DiskFull'
  | 'Permission'
  | 'Conflict'
  | 'Transaction'
  | 'Statement'
  | 'File'
  | 'Format'
  | 'Capture'
  | 'LogLost'
  | 'Stopped'
  | 'Migration'
  | 'Unsupported'
  | 'Closed'
  | 'Internal';

/** What the database itself reported. */
export interface DatabaseErrorFields {
  severity?: string;
  detail?: string;
  hint?: string;
  /** Character position in the statement, counted from 1. */
  position?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
}

/** What an error is made of, besides its message. */
export interface ErrorParts extends DatabaseErrorFields {
  /** `Usage` by default. */
  kind?: ErrorKind;
  /** The database's own code (SQLSTATE, SQLite result code, MongoDB error code), else the stable code of the kind. */
  code: string;
  /** Whether the same call may succeed later without any change by the caller; not by default. */
  retryable?: boolean;
  cause?: unknown;
}

/** An error of this package. */
export class ReplicaverseError extends Error implements DatabaseErrorFields {
  /** The database's own code, else the stable code of the kind, such as `ERR_CONFIG` or `ENTITY_NOT_FOUND`. */
  readonly code: string;
  readonly kind: ErrorKind;
  /** Whether the same call may succeed later without any change by the caller. */
  readonly retryable: boolean;
  declare readonly severity?: string;
  declare readonly detail?: string;
  declare readonly hint?: string;
  declare readonly position?: string;
  declare readonly schema?: string;
  declare readonly table?: string;
  declare readonly column?: string;
  declare readonly constraint?: string;

  constructor(message: string, { kind = 'Usage', code, retryable = false, cause, ...report }: ErrorParts) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
    this.retryable = retryable;
    Object.assign(this, report);
  }
}

// On the prototype, so that printing an error does not list its name among its own properties.
Object.defineProperty(ReplicaverseError.prototype, 'name', { value: 'ReplicaverseError', configurable: true, writable: true });

/** What the core tells of an error, as JSON in the message of the error that Node-API throws. */
interface NativeReason extends Required<Pick<ErrorParts, 'kind' | 'code' | 'retryable'>> {
  message: string;
  causes: string[];
  report?: Record<keyof DatabaseErrorFields, string | null>;
}

const NATIVE_REASON = '{"replicaverse":"error"';

/**
 * Awaits what the native addon does, and gives its errors their class. Their stack is taken here, where the caller
 * awaits; those of the addon have none.
 */
export async function fromNative<T>(operation: () => T | Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (thrown) {
    throw errorFromNative(thrown);
  }
}

/**
 * As {@link fromNative}, but what the addon gives at once is returned at once, and its errors are thrown. For callers
 * that are asynchronous functions themselves.
 */
export function fromNativeAtOnce<T>(operation: () => T | Promise<T>): T | Promise<T> {
  const outcome = fromNativeSync(operation);
  return outcome instanceof Promise ? fromNative(() => outcome) : outcome;
}

/** Calls the native addon, and gives its errors their class and the caller's stack. */
export function fromNativeSync<T>(operation: () => T): T {
  try {
    return operation();
  } catch (thrown) {
    throw errorFromNative(thrown);
  }
}

/** The error to throw in place of one of the native addon; anything else is given back unchanged. */
export function errorFromNative(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !thrown.message.startsWith(NATIVE_REASON)) return thrown;
  const { message, kind, code, retryable, causes, report } = JSON.parse(thrown.message) as NativeReason;
  const fields = Object.entries(report ?? {}).filter(([, value]) => value !== null);
  return new ReplicaverseError(message, { kind, code, retryable, cause: causeOf(causes), ...Object.fromEntries(fields) });
}

/** A chain of errors from their messages, nearest first. */
export function causeOf(messages: readonly string[]): Error | undefined {
  return messages.reduceRight<Error | undefined>((cause, message) => {
    const error = new Error(message, cause === undefined ? undefined : { cause });
    // It did not arise here, so its own stack would only mislead.
    error.stack = `${error.name}: ${message}`;
    return error;
  }, undefined);
}

/** An unknown or malformed connection setting or argument. */
export function configError(message: string, cause?: unknown): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Config', code: 'ERR_CONFIG', cause });
}

/** A value that cannot cross to the database. */
export function valueError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Value', code: 'ERR_VALUE' });
}

/** A malformed entity schema. */
export function schemaError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Schema', code: 'ERR_SCHEMA' });
}

/** A malformed filter, or a wrong argument of a read. */
export function filterError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Filter', code: 'ERR_FILTER' });
}

/** A use of a dialect or a default connection that is not connected. */
export function closedError(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Closed', code: 'ERR_CLOSED' });
}

/** The error for an entity that nobody registered. */
export function unknownEntityError(name: string, available: Iterable<string>): ReplicaverseError {
  const names = [...available];
  const list = names.length === 0 ? 'none' : names.join(', ');
  return new ReplicaverseError(`Entity "${name}" is not registered. Available entities: ${list}`, {
    kind: 'UnknownEntity',
    code: 'ENTITY_NOT_FOUND',
  });
}
