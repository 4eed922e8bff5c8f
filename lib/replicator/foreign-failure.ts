// Errors of a dialect of the application's own, in the kinds that the native core acts on.
import { ReplicaverseError, type ErrorKind } from '../errors.js';

/** An error on its way to the core. */
export interface Failure {
  kind: ErrorKind;
  code?: string;
  message: string;
}

/** What drivers in common use put in `code`, as far as it decides whether other rows can be written. */
const KINDS: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EPIPE|08\w{3})$/, 'Connection'],
  [/^(ETIMEDOUT|ESOCKETTIMEDOUT|ETIMEOUT)$/, 'Timeout'],
  [/^28\w{3}$/, 'Authentication'],
  [/^(23505|ORA-00001|ER_DUP_ENTRY)$/, 'UniqueViolation'],
  [/^(23503|ORA-0229[12])$/, 'ForeignKeyViolation'],
  [/^(23502|ORA-01400)$/, 'NotNullViolation'],
  [/^(23514|ORA-02290)$/, 'CheckViolation'],
];

/** What an object threw as it carried out an operation. */
export function failureOf(thrown: unknown, operation: string): Failure {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = codeOf(thrown);
  const kind = thrown instanceof ReplicaverseError ? thrown.kind : kindOf(code, operation);
  return code === undefined ? { kind, message } : { kind, code, message };
}

function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  const { code } = thrown;
  return typeof code === 'string' || typeof code === 'number' ? String(code) : undefined;
}

function kindOf(code: string | undefined, operation: string): ErrorKind {
  const known = KINDS.find(([pattern]) => code !== undefined && pattern.test(code));
  return known?.[1] ?? (operation === 'connect' ? 'Connection' : 'Statement');
}
