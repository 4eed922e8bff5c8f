// The operations that a connected database and a transaction on it share, carried out by the native core.
import { configError, filterError, fromNative, schemaError } from '../errors.js';
import type { NativeDialect } from '../../native.js';
import type { DialectType } from '../types/connection.js';
import type { RunResult, TransactionOptions } from '../types/dialect.js';
import type { DalFilter, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { nativeSchema } from './native-schema.js';
import { decodeRow, decodeRows } from './value-decoding.js';
import { encodeFilter, encodeOptions, encodeParams, encodeRecord, encodeValue } from './value-encoding.js';

/** A database or a transaction, seen as rows of entities. Every method rejects with a `ReplicaverseError`. */
export abstract class NativeSession {
  abstract readonly dialectType: DialectType;

  /**
   * The native object.
   *
   * @internal
   */
  protected abstract session(): NativeDialect;

  /** Whether the database answers. */
  async testConnection(): Promise<boolean> {
    try {
      await this.run((session) => session.testConnection());
      return true;
    } catch {
      return false;
    }
  }

  /** Brings the tables of these entities into being, as the schema strategy of the connection says. */
  async initSchema(schemas: readonly EntityDeclaration[]): Promise<void> {
    if (!Array.isArray(schemas)) throw schemaError(`schemas: expected a list of entity schemas, found a ${typeof schemas}`);
    const handles = schemas.map((schema: EntityDeclaration) => nativeSchema(schema));
    await this.run((session) => session.initSchema(handles));
  }

  /** The rows that pass the filter. */
  async find<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T[]> {
    return decodeRows(
      await this.run((session) => session.find(nativeSchema(schema), encodeFilter(filter), encodeOptions(options))),
    );
  }

  /** The first row that passes the filter, `null` if there is none. */
  async findOne<T = EntityRecord>(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<T | null> {
    const one = encodeOptions({ ...options, limit: 1 });
    return decodeRow(await this.run((session) => session.find(nativeSchema(schema), encodeFilter(filter), one)));
  }

  /** The row of an id, of `{id}`, or of the fields of a unique index; `null` if there is none. */
  async findById<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    options?: QueryOptions,
  ): Promise<T | null> {
    return decodeRow(
      await this.run((session) => session.findById(nativeSchema(schema), encodeValue(id, 'id'), encodeOptions(options))),
    );
  }

  /** How many rows pass the filter; of the options only `includeDeleted` matters. */
  async count(schema: EntityDeclaration, filter?: DalFilter, options?: QueryOptions): Promise<number> {
    return this.run((session) => session.count(nativeSchema(schema), encodeFilter(filter), encodeOptions(options)));
  }

  /** Inserts a row and gives it as stored. */
  async create<T = EntityRecord>(schema: EntityDeclaration, data: object): Promise<T> {
    const text = await this.run((session) => session.create(nativeSchema(schema), encodeRecord(data, 'data')));
    return decodeRow<T>(text) as T;
  }

  /** Changes the row of an id and gives it as stored, `null` if there is none. `id` in the data is passed over. */
  async update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
    return decodeRow(
      await this.run((session) => session.update(nativeSchema(schema), encodeId(id), encodeRecord(data, 'data'))),
    );
  }

  /** Deletes the row of an id, softly where the entity says so; whether there was one. */
  async delete(schema: EntityDeclaration, id: EntityIdentity): Promise<boolean> {
    return this.run((session) => session.delete(nativeSchema(schema), encodeId(id)));
  }

  /** Changes the first row that passes the filter, or inserts the data with the filter's equalities. */
  async upsert<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<T> {
    const text = await this.run((session) =>
      session.upsert(nativeSchema(schema), encodeFilter(filter), encodeRecord(data, 'data')),
    );
    return decodeRow<T>(text) as T;
  }

  /** Runs a statement in the database's own language and gives its rows; MongoDB takes a command as JSON text. */
  async executeQuery<T = Record<string, unknown>>(statement: string, params?: readonly unknown[]): Promise<T[]> {
    return decodeRows(await this.run((session) => session.executeQuery(textOf('statement', statement), encodeParams(params))));
  }

  /** Runs a statement in the database's own language and says how many rows it changed. */
  async executeRun(statement: string, params?: readonly unknown[]): Promise<RunResult> {
    return { changes: await this.run((session) => session.executeRun(textOf('statement', statement), encodeParams(params))) };
  }

  /**
   * Starts a native transaction.
   *
   * @internal
   */
  protected async begin({ isolation }: TransactionOptions = {}): Promise<NativeDialect> {
    const level = isolation == null ? undefined : textOf('isolation', isolation);
    return this.run((session) => session.begin(level));
  }

  /**
   * Calls the native core, and gives its errors their class and the caller's stack.
   *
   * @internal
   */
  protected async run<T>(operation: (session: NativeDialect) => Promise<T>): Promise<T> {
    return await fromNative(() => operation(this.session()));
  }
}

/** The id that a write names; the fields of an index are for reads only. */
function encodeId(identity: EntityIdentity): string {
  const isObject = typeof identity === 'object' && identity !== null;
  if (!isObject || 'toHexString' in identity) return encodeValue(identity, 'id');
  if ('id' in identity) return encodeValue(identity.id, 'id.id');
  throw filterError(`id: expected an id or {id}, found {${Object.keys(identity).join(', ')}}`);
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string') throw configError(`${name}: expected a string, found a value of type ${typeof value}`);
  return value;
}
