// The ORM surface: schemas, connections, dialects, services and repositories.
export { ReplicaverseError } from './errors.js';
export {
  ConnectionError,
  DialectNotFoundError,
  EntityNotFoundError,
  MostaORMError,
  ValidationError,
} from './orm/application-errors.js';
export { type ConnectionTest, createIsolatedDialect, testConnection } from './orm/connection.js';
export { createDatabase, type DatabaseOutcome, dropDatabase } from './orm/database-lifecycle.js';
export { createConnection, disconnectDialect, getCurrentDialectType, getDialect } from './orm/default-connection.js';
export { type DialectFactory, type DialectObject, registerDialect, unregisterDialect } from './orm/dialect-registry.js';
export { type NormalizedDoc, normalizeDoc, normalizeDocs } from './orm/document-shape.js';
export { EntityService } from './orm/entity-service.js';
export { getConfigFromEnv, getCurrentProfile, getEnv, getEnvBool, getEnvNumber } from './orm/environment.js';
export { ForeignDialect } from './orm/foreign-dialect.js';
export {
  clearNamedConnections,
  getNamedConnection,
  listNamedConnections,
  registerNamedConnection,
  removeNamedConnection,
} from './orm/named-connections.js';
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
export { BaseRepository, type IRepository } from './orm/repository.js';
export {
  extractRelId,
  findMatchingUniqueIndex,
  OrmIntrospectionError,
  type ResolvedLookup,
  resolveLookup,
  type UniqueIndexMatch,
} from './orm/row-lookup.js';
export { type DiffOperation, diffSchemas, generateMigrationSQL } from './orm/schema-diff.js';
export type { EntityServiceEvents } from './orm/service-events.js';
export { DIALECT_CONFIGS, type DialectConfig, getDialectConfig, getSupportedDialects } from './orm/supported-dialects.js';
export type * from './types.js';
