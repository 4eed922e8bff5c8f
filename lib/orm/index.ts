// What the ORM's files offer to the rest of this package; lib/orm.ts says what of it applications see.
export { type ConnectionTest, createIsolatedDialect, testConnection } from './connection.js';
export { createDatabase, type DatabaseOutcome, dropDatabase } from './database-lifecycle.js';
export { maskPassword } from './database-uri.js';
export { createConnection, disconnectDialect, getCurrentDialectType, getDialect } from './default-connection.js';
export { type DialectFactory, type DialectObject, registerDialect, registeredDialect, unregisterDialect } from './dialect-registry.js';
export { EntityService } from './entity-service.js';
export { getConfigFromEnv, getCurrentProfile, getEnv, getEnvBool, getEnvNumber } from './environment.js';
export { ForeignDialect } from './foreign-dialect.js';
export {
  clearNamedConnections,
  getNamedConnection,
  listNamedConnections,
  registerNamedConnection,
  removeNamedConnection,
} from './named-connections.js';
export { NativeBackedDialect } from './native-dialect.js';
export { nativeSchema } from './native-schema.js';
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
} from './registry.js';
export { BaseRepository } from './repository.js';
export type { EntityServiceEvents } from './service-events.js';
export { DIALECT_CONFIGS, type DialectConfig, getDialectConfig, getSupportedDialects } from './supported-dialects.js';
export type * from '../types.js';
