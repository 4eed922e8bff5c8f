// The rows of a dialect of the application's own: its object's methods, and what is made of others where it lacks some.
import { randomUUID } from 'node:crypto';
import { filterError, ReplicaverseError } from '../errors.js';
import type { DialectType } from '../types/connection.js';
import type { IDialect, TransactionOptions } from '../types/dialect.js';
import type { AggregateStage, DalFilter, DeletedOption, EntityIdentity, EntityRecord, QueryOptions } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { containingFilter, distinctValues, equalities, PAGE, sameContent, shownRow } from './foreign-emulation.js';
import { completeSchema } from './registry.js';

type Method = (...args: unknown[]) => unknown;

/** Reads and writes of rows by an object of the application. */
export abstract class ForeignRows {
  /** The name under which the dialect was registered. */
  readonly dialectType: DialectType;
  /** The application's object. */
  readonly object: object;

  /** @throws {ReplicaverseError} of kind `Unsupported` when the factory gave no object. */
  constructor(name: string, object: unknown) {
    if (typeof object !== 'object' || object === null) {
      throw unsupported(`the factory that registerDialect was given for "${name}" gave ${String(object)}, not an object`);
    }
    this.dialectType = name as DialectType;
    this.object = object;
  }

  /** Whether there are transactions, or this is one. */
  protected abstract readonly isTransactional: boolean;

  abstract $transaction<T>(work: (tx: IDialect) => T | Promise<T>, options?: TransactionOptions): Promise<T>;

  async find<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter = {}, options: QueryOptions = {}): Promise<T[]> {
    const rows = (await this.call('find', completeSchema(schema), filter, options)) as object[];
    return rows.map((row) => shownRow(row) as T);
  }

  async findOne<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter = {}, options: QueryOptions = {}): Promise<T | null> {
    if (this.has('findOne')) return this.row<T>(await this.call('findOne', completeSchema(schema), filter, options));
    return (await this.find<T>(schema, filter, { ...options, limit: 1 }))[0] ?? null;
  }

  async findById<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, options: QueryOptions = {}): Promise<T | null> {
    const fields = equalities(id);
    // Methods of this name that applications write take an id, and nothing else.
    if (this.has('findById') && fields.id !== undefined && options.includeDeleted !== true) {
      return this.row<T>(await this.call('findById', completeSchema(schema), fields.id, options));
    }
    return await this.findOne<T>(schema, fields, options);
  }

  async count(schema: EntityDeclaration, filter: DalFilter = {}, options: QueryOptions = {}): Promise<number> {
    if (this.has('count')) return Number(await this.call('count', completeSchema(schema), filter, options));
    const counted: QueryOptions = options.includeDeleted === undefined ? {} : { includeDeleted: options.includeDeleted };
    return (await this.find(schema, filter, { ...counted, select: ['id'] })).length;
  }

  async create<T = EntityRecord>(schema: EntityDeclaration, data: object): Promise<T> {
    return this.row<T>(await this.call('create', completeSchema(schema), data)) as T;
  }

  async update<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
    return this.row<T>(await this.call('update', completeSchema(schema), plainId(id), data));
  }

  async delete(schema: EntityDeclaration, id: EntityIdentity): Promise<boolean> {
    return Boolean(await this.call('delete', completeSchema(schema), plainId(id)));
  }

  async upsert<T = EntityRecord>(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<T> {
    if (this.has('upsert')) return this.row<T>(await this.call('upsert', completeSchema(schema), filter, data)) as T;
    const existing = await this.findOne(schema, filter);
    const changed = existing === null ? null : await this.update<T>(schema, existing.id, data);
    return changed ?? (await this.create<T>(schema, { id: randomUUID(), ...equalities(filter), ...data }));
  }

  async updateMany(schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number> {
    if (this.has('updateMany')) return Number(await this.call('updateMany', completeSchema(schema), filter, data));
    return await this.#each(schema, filter, async (id) => (await this.update(schema, id, data)) !== null);
  }

  async deleteMany(schema: EntityDeclaration, filter: DalFilter): Promise<number> {
    if (this.has('deleteMany')) return Number(await this.call('deleteMany', completeSchema(schema), filter));
    return await this.#each(schema, filter, (id) => this.delete(schema, id));
  }

  async distinct<V = unknown>(schema: EntityDeclaration, field: string, filter: DalFilter = {}, options: DeletedOption = {}): Promise<V[]> {
    if (this.has('distinct')) return (await this.call('distinct', completeSchema(schema), field, filter, options)) as V[];
    const rows = await this.find<Record<string, unknown>>(schema, filter, { ...options, select: [field] });
    return distinctValues(rows, field) as V[];
  }

  async aggregate<T = Record<string, unknown>>(
    schema: EntityDeclaration,
    stages: readonly AggregateStage[],
    options?: DeletedOption,
  ): Promise<T[]> {
    return (await this.call('aggregate', completeSchema(schema), stages, options)) as T[];
  }

  async search<T = EntityRecord>(
    schema: EntityDeclaration,
    query: string,
    fields?: readonly string[],
    options: QueryOptions = {},
  ): Promise<T[]> {
    const complete = completeSchema(schema);
    const texts = Object.entries(complete.fields).filter(([, { type }]) => type === 'string' || type === 'text');
    const searched = fields ?? texts.map(([name]) => name);
    if (!this.has('search')) return await this.find<T>(schema, containingFilter(query, searched), options);
    const rows = (await this.call('search', complete, query, searched, options)) as object[];
    return rows.map((row) => shownRow(row) as T);
  }

  async increment<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, field: string, amount: number | bigint): Promise<T | null> {
    if (this.has('increment')) return this.row<T>(await this.call('increment', completeSchema(schema), plainId(id), field, amount));
    return await this.#change<T>('increment', schema, id, field, (value) =>
      typeof value === 'bigint' || typeof amount === 'bigint' ? BigInt((value ?? 0) as bigint) + BigInt(amount) : Number(value ?? 0) + amount,
    );
  }

  async addToSet<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    if (this.has('addToSet')) return this.row<T>(await this.call('addToSet', completeSchema(schema), plainId(id), field, value));
    return await this.#change<T>('addToSet', schema, id, field, (list) => {
      const items: unknown[] = Array.isArray(list) ? list : [];
      return items.some((item) => sameContent(item, value)) ? items : [...items, value];
    });
  }

  async pull<T = EntityRecord>(schema: EntityDeclaration, id: EntityIdentity, field: string, value: unknown): Promise<T | null> {
    if (this.has('pull')) return this.row<T>(await this.call('pull', completeSchema(schema), plainId(id), field, value));
    return await this.#change<T>('pull', schema, id, field, (list) =>
      (Array.isArray(list) ? (list as unknown[]) : []).filter((item) => !sameContent(item, value)),
    );
  }

  async findWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    filter: DalFilter = {},
    relations: readonly string[] = [],
    options: QueryOptions = {},
  ): Promise<T[]> {
    if (relations.length === 0) return await this.find<T>(schema, filter, options);
    const rows = (await this.call('findWithRelations', completeSchema(schema), filter, relations, options)) as object[];
    return rows.map((row) => shownRow(row) as T);
  }

  async findByIdWithRelations<T = EntityRecord>(
    schema: EntityDeclaration,
    id: EntityIdentity,
    relations: readonly string[] = [],
    options: QueryOptions = {},
  ): Promise<T | null> {
    if (relations.length === 0) return await this.findById<T>(schema, id, options);
    return this.row<T>(await this.call('findByIdWithRelations', completeSchema(schema), plainId(id), relations, options));
  }

  /** Whether the object has a method. */
  has(method: string): boolean {
    return methodOf(this.object, method) !== undefined;
  }

  /**
   * Calls a method of the object.
   *
   * @throws {ReplicaverseError} of kind `Unsupported` naming the method when there is none.
   * @internal
   */
  async call(method: string, ...args: unknown[]): Promise<unknown> {
    const called = methodOf(this.object, method);
    if (called === undefined) throw unsupported(`the registered dialect "${this.dialectType}" has no method ${method}`);
    return await called.apply(this.object, args);
  }

  private row<T>(row: unknown): T | null {
    return typeof row === 'object' && row !== null ? (shownRow(row) as T) : null;
  }

  /** Does something to every row that passes the filter; how many times it told that it did. */
  async #each(schema: EntityDeclaration, filter: DalFilter, work: (id: string) => Promise<boolean>): Promise<number> {
    let done = 0;
    let last: string | undefined;
    for (;;) {
      const page: DalFilter = last === undefined ? filter : { $and: [filter, { id: { $gt: last } }] };
      const rows = await this.find(schema, page, { sort: { id: 1 }, limit: PAGE, select: ['id'] });
      for (const { id } of rows) if (await work(id)) done += 1;
      last = rows.at(-1)?.id;
      if (rows.length < PAGE) return done;
    }
  }

  /** Changes one field by its present value, in a transaction: without one, a change by another could be lost. */
  async #change<T>(method: string, schema: EntityDeclaration, id: EntityIdentity, field: string, next: (value: unknown) => unknown): Promise<T | null> {
    if (!this.isTransactional) {
      throw unsupported(`the registered dialect "${this.dialectType}" has no method ${method}, and no $transaction to make up for it`);
    }
    return await this.$transaction(
      async (tx) => {
        const row = await tx.findById(schema, id);
        return row === null ? null : await tx.update<T>(schema, id, { [field]: next(row[field]) });
      },
      { isolation: 'SERIALIZABLE' },
    );
  }
}

/** A method of an object. */
export function methodOf(object: unknown, name: string): Method | undefined {
  const method = typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[name] : undefined;
  return typeof method === 'function' ? (method as Method) : undefined;
}

/** The id that a write names, without an object around it. */
function plainId(identity: EntityIdentity): unknown {
  const { id } = equalities(identity);
  if (id === undefined) throw filterError('id: expected an id or {id}');
  return id;
}

function unsupported(message: string): ReplicaverseError {
  return new ReplicaverseError(message, { kind: 'Unsupported', code: 'ERR_UNSUPPORTED' });
}
