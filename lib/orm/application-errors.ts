// Errors for applications to throw: of an entity, a connection, a validation, a dialect.
import { type ErrorKind, ReplicaverseError } from '../errors.js';

/** What went wrong with entities and their databases, as an application may say it. */
export class MostaORMError extends ReplicaverseError {
  constructor(message: string, kind: ErrorKind = 'Usage', code = 'ORM_ERROR') {
    super(message, { kind, code });
  }
}

/** There is no row of this id, or none that was looked for. */
export class EntityNotFoundError extends MostaORMError {
  constructor(entity: string, id?: string) {
    super(id ? `${entity} with id "${id}" not found` : `${entity} not found`, 'Usage', 'ERR_NOT_FOUND');
  }
}

/** A database cannot be connected to. */
export class ConnectionError extends MostaORMError {
  constructor(dialect: string, cause?: string) {
    super(`Failed to connect to ${dialect}${cause ? `: ${cause}` : ''}`, 'Connection', 'ERR_CONNECTION');
  }
}

/** The data of an entity is not as it must be. */
export class ValidationError extends MostaORMError {
  constructor(entity: string, details: string) {
    super(`Validation failed for ${entity}: ${details}`, 'Value', 'ERR_VALUE');
  }
}

/** There is no dialect of this name. */
export class DialectNotFoundError extends MostaORMError {
  constructor(dialect: string) {
    super(`Dialect "${dialect}" is not supported`, 'UnknownDialect', 'ERR_UNKNOWN_DIALECT');
  }
}

for (const error of [MostaORMError, EntityNotFoundError, ConnectionError, ValidationError, DialectNotFoundError]) {
  Object.defineProperty(error.prototype, 'name', { value: error.name, configurable: true, writable: true });
}
