// How to reach a database, and what to do with its schema.

/** A dialect that is built in. */
export type BuiltInDialect = 'postgres' | 'cockroachdb' | 'mysql' | 'mariadb' | 'sqlite' | 'mongodb';

/** Every dialect that is known by name; one that is no {@link BuiltInDialect} must be registered to be connected to. */
export type DialectType =
  | BuiltInDialect
  | 'oracle'
  | 'mssql'
  | 'db2'
  | 'hana'
  | 'hsqldb'
  | 'spanner'
  | 'sybase';

/** The name of a known dialect, or any that was registered by `registerDialect`. */
export type DialectName = DialectType | (string & Record<never, never>);

/**
 * What happens to the tables of entities on connect: `validate` checks that they exist, `update` creates what is
 * missing, `create` drops them first, `create-drop` also drops them on disconnect, `none` touches nothing.
 */
export type SchemaStrategy = 'validate' | 'update' | 'create' | 'create-drop' | 'none';

/** How many connections a pool holds, and how long an operation waits for one. */
export interface PoolConfig {
  /** Connections kept open; 2 by default. */
  min?: number;
  /** Connections at the most; 20 by default. */
  max?: number;
  /** Milliseconds that an operation waits for a connection before it fails with `ERR_TIMEOUT`; 30000 by default. */
  acquireTimeoutMillis?: number;
}

/** How to reach a database. */
export interface ConnectionConfig {
  /** A built-in dialect, or one that was registered by `registerDialect`. */
  dialect: DialectName;
  /** A URI; for SQLite a path, a `file:` or `sqlite:` URI, or `:memory:`. */
  uri: string;
  /** `update` by default. */
  schemaStrategy?: SchemaStrategy;
  /** The size of the pool; shorthand for `pool.max`, which wins where both are given. */
  poolSize?: number;
  pool?: PoolConfig;
  /** Put before every table, index and junction name. */
  tablePrefix?: string;
  /** Whether statements are printed with `console.log`, without their values. */
  showSql?: boolean;
  /** Whether printed statements are broken into one line per clause. */
  formatSql?: boolean;
  /** Whether the keywords of printed statements are in a colour of the terminal. */
  highlightSql?: boolean;
}
