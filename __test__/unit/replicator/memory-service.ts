// An entity service over rows in memory, whose failures and delays the tests decide.
import { EntityService } from 'replicaverse';
import type { DalFilter, EntityDeclaration, EntityRecord, IDialect, QueryOptions } from 'replicaverse';

type Table = Map<string, EntityRecord>;

/** A service with its rows and the switches of the tests. */
export interface Memory {
  service: EntityService;
  /** The rows of an entity as they are, in the order of their ids. */
  rows(entity: string): EntityRecord[];
  /** Puts a row in place without any event. */
  put(entity: string, row: EntityRecord): void;
  /** Called before every write; what it throws is what the write fails with. */
  beforeWrite: (operation: 'create' | 'update' | 'delete', entity: string, id: string) => void | Promise<void>;
  /** How many rows the largest read gave. */
  largestRead: number;
  /** How many writes there were. */
  writes: number;
}

/** A service without rows. */
export function memory(schemas: readonly EntityDeclaration[]): Memory {
  const tables = new Map<string, Table>();
  const tableOf = ({ name }: EntityDeclaration): Table => {
    const table = tables.get(name) ?? new Map<string, EntityRecord>();
    tables.set(name, table);
    return table;
  };
  const sorted = (table: Table): EntityRecord[] => [...table.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const state: Memory = {
    service: null as unknown as EntityService,
    rows: (entity) => sorted(tableOf({ name: entity })),
    put: (entity, row) => tableOf({ name: entity }).set(row.id, row),
    beforeWrite: () => undefined,
    largestRead: 0,
    writes: 0,
  };
  const write = async (operation: 'create' | 'update' | 'delete', schema: EntityDeclaration, id: string): Promise<void> => {
    await state.beforeWrite(operation, schema.name, id);
    state.writes += 1;
  };
  const dialect = {
    find: async (schema: EntityDeclaration, filter: DalFilter = {}, options: QueryOptions = {}) => {
      const visible = (row: EntityRecord) => !schema.softDelete || options.includeDeleted || row.deletedAt == null;
      const found = sorted(tableOf(schema)).filter((row) => visible(row) && passes(row, filter));
      if (options.sort?.id === -1) found.reverse();
      const rows = found.slice(0, options.limit).map((row) => ({ ...row }));
      state.largestRead = Math.max(state.largestRead, rows.length);
      return rows;
    },
    create: async (schema: EntityDeclaration, data: EntityRecord) => {
      await write('create', schema, data.id);
      if (tableOf(schema).has(data.id)) throw new Error(`duplicate key ${data.id}`);
      tableOf(schema).set(data.id, { ...data });
      return { ...data };
    },
    update: async (schema: EntityDeclaration, id: string, data: object) => {
      await write('update', schema, id);
      const row = tableOf(schema).get(id);
      return row === undefined ? null : { ...Object.assign(row, data) };
    },
    delete: async (schema: EntityDeclaration, id: string) => {
      await write('delete', schema, id);
      const row = tableOf(schema).get(id);
      if (row === undefined) return false;
      if (schema.softDelete) row.deletedAt ??= new Date();
      else tableOf(schema).delete(id);
      return true;
    },
  };
  state.service = new EntityService(dialect as unknown as IDialect, schemas);
  return state;
}

function passes(row: EntityRecord, filter: DalFilter): boolean {
  return Object.entries(filter).every(([field, condition]) => {
    if (field === '$and') return (condition as DalFilter[]).every((part) => passes(row, part));
    if (typeof condition !== 'object' || condition === null) return row[field] === condition;
    return Object.entries(condition).every(([operator, operand]) => holds(row[field], operator, operand));
  });
}

function holds(value: unknown, operator: string, operand: unknown): boolean {
  const comparable = value instanceof Date ? value.toISOString() : (value as string);
  if (operator === '$in') return (operand as unknown[]).includes(value);
  if (value == null) return false;
  if (operator === '$gt') return comparable > (operand as string);
  if (operator === '$gte') return comparable >= (operand as string);
  throw new Error(`the memory has no operator ${operator}`);
}
