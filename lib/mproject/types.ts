// The types of projects: how one is configured, what it is when it runs, and what is reported of it.
import type { ConnectionConfig, DialectName, PoolConfig, SchemaStrategy } from '../types/connection.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import type { EntityService } from '../orm/index.js';

/** How a project is reached, and its entities. */
export interface ProjectConfig extends Pick<ConnectionConfig, 'tablePrefix' | 'showSql' | 'formatSql'> {
  /** Unique within the manager. */
  name: string;
  dialect: DialectName;
  uri: string;
  /** The entities of the project; the registered ones when there are none. */
  schemas?: readonly EntityDeclaration[];
  pool?: PoolConfig;
  /** `update` by default. */
  schemaStrategy?: SchemaStrategy;
}

/** Whether a project can be used. */
export type ProjectStatus = 'connected' | 'disconnected' | 'error';

/** A project as it runs. */
export interface ProjectContext {
  readonly name: string;
  /** The connection; `null` when the project could not be connected. */
  readonly dialect: IDialect | null;
  readonly dialectType: DialectName;
  /** The URI without its password; empty for the default project. */
  readonly uriMasked: string;
  readonly schemas: readonly EntitySchema[];
  readonly pool: PoolConfig;
  readonly schemaStrategy: SchemaStrategy;
  /** The entities over the connection; `null` without one. */
  readonly entityService: EntityService | null;
  readonly status: ProjectStatus;
  /** Whether it was given by `setDefault`. */
  readonly isDefault: boolean;
  /** Why it cannot be used. */
  readonly error?: string;
}

/** What is reported of a project; it holds no connection and no password. */
export interface ProjectInfo {
  name: string;
  dialect: DialectName;
  uri: string;
  status: ProjectStatus;
  schemasCount: number;
  pool: PoolConfig;
  schemaStrategy: SchemaStrategy;
  isDefault: boolean;
  error?: string;
}

/** The pool of a project. */
export interface ProjectPool {
  name: string;
  dialect: DialectName;
  status: ProjectStatus;
  /** Connections kept open. */
  poolMin: number;
  /** Connections at the most. */
  poolMax: number;
}

/** How the file of projects is written. */
export interface PersistOptions {
  /**
   * `mask`, the default, writes `***` in place of passwords: such a project must be given its URI again, by `updateProject`,
   * after it was loaded. `keep` writes them as they are, into a file that only its owner can read.
   */
  passwords?: 'mask' | 'keep';
}

/** What loading a file did. */
export interface LoadOutcome {
  /** The projects that are connected. */
  loaded: string[];
  /** The projects that are listed, but could not be connected. */
  failed: { name: string; error: string }[];
  /** The projects that were there already, and were kept as they are. */
  kept: string[];
}
