// A dialect in memory, as an application may bring one: only the methods that it must have.
import type { ConnectionConfig, DalFilter, EntityDeclaration, QueryOptions } from 'replicaverse';

type Row = Record<string, unknown>;
type Tables = Map<string, Map<string, Row>>;

export class MemoryDialect {
  config: ConnectionConfig | null = null;
  initialised: string[] = [];
  /** Rows that are not taken. */
  refuse: (row: Row) => boolean = () => false;
  readonly #tables: Tables = new Map();

  connect(config: ConnectionConfig): Promise<void> {
    this.config = config;
    return Promise.resolve();
  }

  disconnect(): Promise<void> {
    this.config = null;
    return Promise.resolve();
  }

  initSchema(schemas: readonly EntityDeclaration[]): Promise<void> {
    this.initialised = schemas.map(({ name }) => name);
    return Promise.resolve();
  }

  find(schema: EntityDeclaration, filter: DalFilter = {}, options: QueryOptions = {}): Promise<Row[]> {
    const shown = (row: Row) => options.includeDeleted === true || schema.softDelete !== true || row.deletedAt == null;
    let rows = [...this.#rows(schema).values()].filter((row) => shown(row) && matches(row, filter));
    if (options.sort !== undefined) rows.sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
    rows = rows.slice(0, options.limit ?? rows.length);
    const { select } = options;
    const cut = (row: Row) => (select === undefined ? { ...row } : Object.fromEntries(select.map((name) => [name, row[name]])));
    return Promise.resolve(rows.map(cut));
  }

  async create(schema: EntityDeclaration, data: object): Promise<Row> {
    const now = new Date();
    const dates = schema.timestamps === true ? { createdAt: now, updatedAt: now } : {};
    const row: Row = { ...defaults(schema), ...dates, ...data };
    if (this.refuse(row)) throw new Error('this row is refused');
    if (this.#rows(schema).has(String(row.id))) throw Object.assign(new Error('the id is taken'), { code: '23505' });
    this.#rows(schema).set(String(row.id), row);
    return Promise.resolve(row);
  }

  async update(schema: EntityDeclaration, id: unknown, data: object): Promise<Row | null> {
    const row = this.#rows(schema).get(String(id));
    if (row === undefined) return null;
    const dates = schema.timestamps === true ? { updatedAt: new Date() } : {};
    return Promise.resolve(Object.assign(row, dates, data));
  }

  delete(schema: EntityDeclaration, id: unknown): Promise<boolean> {
    const row = this.#rows(schema).get(String(id));
    if (row !== undefined && schema.softDelete === true) row.deletedAt = new Date();
    else this.#rows(schema).delete(String(id));
    return Promise.resolve(row !== undefined);
  }

  #rows({ name, collection = name }: EntityDeclaration): Map<string, Row> {
    const rows = this.#tables.get(collection) ?? new Map<string, Row>();
    this.#tables.set(collection, rows);
    return rows;
  }
}

function defaults({ fields = {} }: EntityDeclaration): Row {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default ?? null]));
}

function matches(row: Row, filter: DalFilter): boolean {
  return Object.entries(filter).every(([name, condition]) => {
    if (name === '$or') return (condition as DalFilter[]).some((part) => matches(row, part));
    const value = row[name] ?? null;
    if (typeof condition !== 'object' || condition === null || condition instanceof Date) return value === condition;
    return Object.entries(condition as Row).every(([operator, operand]) => {
      if (operator === '$in') return (operand as unknown[]).includes(value);
      if (operator === '$gt') return value !== null && value > (operand as string);
      if (operator === '$gte') return value !== null && value >= (operand as Date);
      throw new Error(`unknown operator ${operator}`);
    });
  });
}
