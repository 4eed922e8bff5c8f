// One project: its settings, and its connection as long as there is one.
import { configError, ReplicaverseError } from '../errors.js';
import { createIsolatedDialect, EntityService, getAllSchemas, maskPassword } from '../orm/index.js';
import { completeSchema } from '../orm/registry.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import { isMasked } from './project-file.js';
import type { ProjectConfig, ProjectContext, ProjectInfo, ProjectPool, ProjectStatus } from './types.js';

const POOL = { min: 2, max: 20 };

/** A project of a manager. */
export class Project {
  readonly config: ProjectConfig;
  readonly schemas: readonly EntitySchema[];
  /** Whether the connection belongs to the application, which gave it. */
  readonly isDefault: boolean;
  #dialect: IDialect | null = null;
  #service: EntityService | null = null;
  #error: string | undefined;

  /** @throws {ReplicaverseError} naming a setting that is missing. */
  constructor(config: ProjectConfig, isDefault = false) {
    if (typeof config !== 'object' || config === null) throw configError('project: expected an object');
    for (const setting of ['name', 'dialect'] as const) {
      if (typeof config[setting] !== 'string' || config[setting] === '') throw configError(`project.${setting}: a value is required`);
    }
    if (!isDefault && (typeof config.uri !== 'string' || config.uri === '')) throw configError('project.uri: a value is required');
    if (config.schemas !== undefined && !Array.isArray(config.schemas)) throw configError('project.schemas: expected a list of schemas');
    this.config = { ...config };
    this.schemas = (config.schemas ?? getAllSchemas()).map(completeSchema);
    this.isDefault = isDefault;
  }

  /** The default project, over a connection that the application has opened. */
  static default(name: string, dialect: IDialect, schemas: readonly EntityDeclaration[] | undefined): Project {
    if (typeof dialect !== 'object' || dialect === null) throw configError(`project "${name}": expected a dialect that is connected`);
    const config = { name, dialect: dialect.dialectType, uri: '', ...(schemas === undefined ? {} : { schemas }) };
    const project = new Project(config, true);
    project.#use(dialect);
    return project;
  }

  get status(): ProjectStatus {
    if (this.#error !== undefined) return 'error';
    return this.#dialect === null ? 'disconnected' : 'connected';
  }

  get service(): EntityService | null {
    return this.#service;
  }

  /**
   * Connects, and brings the tables into being.
   *
   * @throws {ReplicaverseError} as `createIsolatedDialect`; the project then tells why.
   */
  async connect(): Promise<void> {
    const { dialect, uri, pool, schemaStrategy, tablePrefix, showSql, formatSql } = this.config;
    try {
      if (isMasked(uri)) throw maskedError(this.config.name);
      const config = { dialect, uri, pool: { ...POOL, ...pool }, schemaStrategy, tablePrefix, showSql, formatSql };
      this.#use(await createIsolatedDialect(withoutUndefined(config) as typeof config & { schemaStrategy: never }, this.schemas));
    } catch (error) {
      this.#error = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  /** Closes the connection, unless it is the application's own. */
  async disconnect(): Promise<void> {
    const dialect = this.#dialect;
    this.#dialect = null;
    this.#service = null;
    if (!this.isDefault) await dialect?.disconnect();
  }

  context(): ProjectContext {
    return {
      ...this.#shown(),
      dialect: this.#dialect,
      dialectType: this.config.dialect,
      uriMasked: maskPassword(this.config.uri),
      schemas: this.schemas,
      entityService: this.#service,
    };
  }

  info(): ProjectInfo {
    return {
      ...this.#shown(),
      dialect: this.config.dialect,
      uri: maskPassword(this.config.uri),
      schemasCount: this.schemas.length,
    };
  }

  poolInfo(): ProjectPool {
    const { min, max } = { ...POOL, ...this.config.pool };
    return { name: this.config.name, dialect: this.config.dialect, status: this.status, poolMin: min, poolMax: max };
  }

  #shown() {
    const { name, pool, schemaStrategy = 'update' } = this.config;
    const error = this.#error === undefined ? {} : { error: this.#error };
    return { name, pool: { ...POOL, ...pool }, schemaStrategy, status: this.status, isDefault: this.isDefault, ...error };
  }

  #use(dialect: IDialect): void {
    this.#dialect = dialect;
    this.#service = new EntityService(dialect, this.schemas);
    this.#error = undefined;
  }
}

function withoutUndefined(settings: object): object {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function maskedError(name: string): ReplicaverseError {
  const message = `project "${name}": its URI was stored without the password; give it again by updateProject('${name}', {uri})`;
  return new ReplicaverseError(message, { kind: 'Authentication', code: 'ERR_MASKED_PASSWORD' });
}
