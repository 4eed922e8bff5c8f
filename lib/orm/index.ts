// What the ORM's files offer to the rest of this package; lib/orm.ts says what of it applications see.
export {
  type ConnectionTest,
  createConnection,
  createIsolatedDialect,
  disconnectDialect,
  getDialect,
  testConnection,
} from './connection.js';
export { EntityService, type EntityServiceEvents } from './entity-service.js';
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
export type * from '../types.js';
