// A dialect of the application's own as a replica: it carries out what the native core asks of its tables.
import { configError } from '../errors.js';
import { ForeignDialect, type DialectFactory } from '../orm/index.js';
import { completeSchema } from '../orm/registry.js';
import { decodeRows } from '../orm/value-decoding.js';
import { encodeValue } from '../orm/value-encoding.js';
import type { ConnectionConfig } from '../types/connection.js';
import type { DalFilter, QueryOptions } from '../types/query.js';
import type { EntityDeclaration, EntitySchema } from '../types/schema.js';
import { failureOf } from './foreign-failure.js';
import { storedSchemas } from './foreign-schema.js';
import type { ReplicaConfig } from './types.js';

type Row = Record<string, unknown>;

/** What the core asks for, as it comes from `src/foreign_dialect/call.rs`. */
interface Request {
  collection?: string;
  /** The text of rows, or of keys as rows with nothing but their `id`. */
  rows?: string;
  limit?: number;
  keysOnly?: boolean;
  discriminator?: [column: string, value: string];
  /** Milliseconds. */
  changedSince?: [column: string, moment: number];
  /** A further column in which that moment counts as well. */
  orChangedSince?: string;
}

/** A replica whose database an application brings. */
export class ForeignReplica {
  readonly dialect: ForeignDialect;
  readonly #connection: ConnectionConfig;
  readonly #entities: readonly EntitySchema[];
  readonly #stored: ReadonlyMap<string, EntitySchema>;

  /** @throws {ReplicaverseError} when the factory gives no object. */
  constructor(config: ReplicaConfig, factory: DialectFactory, entities: readonly EntityDeclaration[]) {
    const { dialect, uri, pool, schemaStrategy } = config;
    this.dialect = new ForeignDialect(dialect, factory());
    this.#connection = {
      dialect,
      uri,
      schemaStrategy: schemaStrategy ?? 'update',
      ...(pool === undefined ? {} : { pool }),
      ...(pool?.max === undefined ? {} : { poolSize: pool.max }),
    };
    this.#entities = entities.map(completeSchema);
    this.#stored = storedSchemas(this.#entities);
  }

  /** Carries out an operation, given with its arguments as JSON. It does not reject: an error is an answer as well. */
  readonly carryOut = async (operation: string, request: string): Promise<string> => {
    try {
      const answer = await this.#answer(operation, JSON.parse(request) as Request);
      return `{"ok":${encodeValue(answer, operation)}}`;
    } catch (error) {
      return JSON.stringify({ error: failureOf(error, operation) });
    }
  };

  async #answer(operation: string, request: Request): Promise<readonly unknown[]> {
    switch (operation) {
      case 'connect':
        return await this.#connect();
      case 'disconnect':
        await this.dialect.disconnect();
        return [];
      case 'testConnection':
        if (!(await this.dialect.testConnection())) throw configError(`the dialect "${this.dialect.dialectType}" does not answer`);
        return [];
      case 'scan':
        return await this.#scan(request);
      case 'fetch':
        return await this.#find(request, { id: { $in: idsOf(request) } });
      case 'insert':
        return await this.#insert(request);
      case 'upsert':
        return await this.#upsert(request);
      case 'delete':
        return [await this.#delete(this.#schema(request), idsOf(request))];
      default:
        throw configError(`the native addon asked for "${operation}": it is of another version than this code`);
    }
  }

  async #connect(): Promise<[]> {
    await this.dialect.connect(this.#connection);
    try {
      await this.dialect.initSchema(this.#entities);
    } catch (error) {
      // Why the schemas do not fit matters more than what closing the connection may add.
      await this.dialect.disconnect().catch(() => undefined);
      throw error;
    }
    return [];
  }

  /** The next rows in the order of their ids. */
  async #scan(request: Request): Promise<Row[]> {
    const { rows, discriminator, changedSince, orChangedSince } = request;
    const filter: DalFilter = {};
    if (rows !== undefined) filter.id = { $gt: decodeRows<Row>(rows)[0]?.id };
    if (discriminator !== undefined) filter[discriminator[0]] = discriminator[1];
    if (changedSince === undefined) return await this.#find(request, filter);
    const [column, moment] = changedSince;
    const changed: DalFilter[] = [{ [column]: { $gte: new Date(moment) } }, { [column]: null }];
    if (orChangedSince !== undefined) changed.push({ [orChangedSince]: { $gte: new Date(moment) } });
    return await this.#find(request, { ...filter, $or: changed });
  }

  /** Rows with the fields that the core knows of, and no others. */
  async #find(request: Request, filter: DalFilter): Promise<Row[]> {
    const schema = this.#schema(request);
    const { limit, keysOnly } = request;
    const options: QueryOptions = { sort: { id: 1 }, includeDeleted: true, ...(limit === undefined ? {} : { limit }) };
    if (keysOnly === true) {
      const keys = await this.dialect.find<Row>(schema, filter, { ...options, select: ['id'] });
      return keys.map(({ id }) => ({ id }));
    }
    const lists = Object.keys(schema.relations);
    const rows = await this.#findWithLists(schema, filter, lists, options);
    const names = ['id', ...Object.keys(schema.fields)];
    return rows.map((row) => ({
      ...Object.fromEntries(names.map((name) => [name, row[name] ?? null])),
      ...Object.fromEntries(lists.map((name) => [name, idsIn(row[name])])),
    }));
  }

  /** An object that keeps links apart from the rows gives none with the rows alone. */
  async #findWithLists(schema: EntitySchema, filter: DalFilter, lists: readonly string[], options: QueryOptions): Promise<Row[]> {
    if (lists.length === 0 || !this.dialect.has('findWithRelations')) return await this.dialect.find<Row>(schema, filter, options);
    return await this.dialect.findWithRelations<Row>(schema, filter, lists, options);
  }

  /** Inserts every row, or none: what was inserted before an error is deleted again. */
  async #insert(request: Request): Promise<[]> {
    const schema = this.#schema(request);
    const rows = decodeRows<Row>(request.rows ?? '{"rows":[]}');
    const inserted: unknown[] = [];
    try {
      // What such a method makes of links is not known.
      const hasLists = Object.keys(schema.relations).length > 0;
      if (!hasLists && this.dialect.has('createMany') && (await this.#find(request, { id: { $in: idsOf(request) } })).length === 0) {
        // None of them was there, so that all that are there after an error are to go.
        inserted.push(...idsOf(request));
        await this.dialect.call('createMany', schema, rows);
        return [];
      }
      for (const row of rows) {
        await this.dialect.create(schema, row);
        inserted.push(row.id);
      }
    } catch (error) {
      // What the core needs to know is why the rows were refused.
      await this.#delete(schema, inserted).catch(() => undefined);
      throw error;
    }
    return [];
  }

  async #upsert(request: Request): Promise<[]> {
    const schema = this.#schema(request);
    for (const row of decodeRows<Row>(request.rows ?? '{"rows":[]}')) {
      const { id, ...fields } = row;
      if ((await this.dialect.update(schema, id as string, fields)) === null) await this.dialect.create(schema, row);
    }
    return [];
  }

  async #delete(schema: EntitySchema, ids: readonly unknown[]): Promise<number> {
    if (ids.length === 0) return 0;
    if (this.dialect.has('deleteMany')) return await this.dialect.deleteMany(schema, { id: { $in: ids } });
    let deleted = 0;
    for (const id of ids) if (await this.dialect.delete(schema, id as string)) deleted += 1;
    return deleted;
  }

  #schema({ collection }: Request): EntitySchema {
    const schema = this.#stored.get(collection ?? '');
    if (schema === undefined) throw configError(`no entity with the collection "${String(collection)}" is registered`);
    return schema;
  }
}

function idsOf({ rows }: Request): unknown[] {
  return decodeRows<Row>(rows ?? '{"rows":[]}').map(({ id }) => id);
}

/** The ids that a many-to-many relation lists, given as ids or as the rows themselves. */
function idsIn(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  const ids = list.map((item: unknown) => (typeof item === 'object' && item !== null && 'id' in item ? item.id : item));
  return ids.filter((id) => id !== null && id !== undefined).map(String);
}
