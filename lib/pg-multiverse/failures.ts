// Errors of queries: those of the server as node-postgres gives them, all others as errors of this package.
import { causeOf, type ErrorKind, ReplicaverseError } from '../errors.js';

/** An error that the server reported, with the fields and the name that it has in node-postgres. */
export class DatabaseError extends Error {
  /** The bytes of the server's message. */
  readonly length: number;
  declare readonly severity: string | undefined;
  /** The SQLSTATE. */
  declare readonly code: string | undefined;
  declare readonly detail: string | undefined;
  declare readonly hint: string | undefined;
  /** Character position in the statement, counted from 1. */
  declare readonly position: string | undefined;
  declare readonly internalPosition: string | undefined;
  declare readonly internalQuery: string | undefined;
  declare readonly where: string | undefined;
  declare readonly schema: string | undefined;
  declare readonly table: string | undefined;
  declare readonly column: string | undefined;
  declare readonly dataType: string | undefined;
  declare readonly constraint: string | undefined;
  declare readonly file: string | undefined;
  declare readonly line: string | undefined;
  declare readonly routine: string | undefined;
  /** Whether the same statement may succeed later without any change by the caller. */
  declare readonly retryable: boolean;

  constructor(message: string, fields: ServerReport, retryable: boolean) {
    super(message);
    this.length = fields.length;
    this.name = 'error';
    for (const field of FIELDS) Object.assign(this, { [field]: fields[field] ?? undefined });
    // Not enumerable, so that the error's own properties stay those of node-postgres.
    Object.defineProperty(this, 'retryable', { value: retryable });
  }
}

const FIELDS = [
  'severity',
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const;

/** The fields of the server's message. */
export type ServerReport = { length: number } & { [field in (typeof FIELDS)[number]]?: string | null };

/** What the native core tells of a failure; see src/multiverse/failure.rs. */
interface Failure {
  kind: ErrorKind;
  code: string;
  message: string;
  retryable: boolean;
  causes: string[];
  server?: ServerReport;
}

/** The error of a failure that the native core told as JSON. Its stack begins at the caller of this function. */
export function errorOfFailure(text: string): Error {
  const { kind, code, message, retryable, causes, server } = JSON.parse(text) as Failure;
  const error =
    server === undefined
      ? new ReplicaverseError(message, { kind, code, retryable, cause: causeOf(causes) })
      : new DatabaseError(message, server, retryable);
  Error.captureStackTrace(error, errorOfFailure);
  return error;
}

/** The error to throw in place of what the native core threw; anything else is given back unchanged. */
export function errorOfThrown(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.message.startsWith('{"kind":') ? errorOfFailure(thrown.message) : thrown;
}
