// The ORM surface: schemas, connections, dialects, services and repositories.
export { ReplicaverseError } from './errors.js';
export {
  type ConnectionTest,
  createConnection,
  createIsolatedDialect,
  disconnectDialect,
  getDialect,
  testConnection,
} from './orm/connection.js';
export { EntityService, type EntityServiceEvents } from './orm/entity-service.js';
export { NativeBackedDialect } from './orm/native-dialect.js';
export {
  clearRegistry,
  getAllSchemas,
  getEntityNames,
  getSchema,
  getSchemaByCollection,
  hasSchema,
  registerSchema,
  registerSchemas,
  type SchemaValidation,
  validateSchemas,
} from './orm/registry.js';
export { BaseRepository } from './orm/repository.js';
export type * from './types.js';
