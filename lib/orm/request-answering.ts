// Requests answered: each operation is checked for what it needs, carried out by the service, and reported as data.
import type { EntityRecord } from '../types/query.js';
import type { OrmOperation, OrmRequest, OrmResponse } from '../types/request.js';
import type { EntityService } from './entity-service.js';

type Operation = (service: EntityService, request: OrmRequest) => Promise<OrmResponse>;

/** A request that lacks something; its message is the answer's. */
class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const PARAMS = 'MISSING_PARAMS';

const OPERATIONS: Readonly<Record<OrmOperation, Operation>> = {
  findAll: async (service, { entity, filter, options, relations }) => {
    const rows = hasAny(relations)
      ? await service.findWithRelations(entity, filter ?? {}, relations, options)
      : await service.findAll(entity, filter, options);
    return counted(rows);
  },
  findOne: async (service, { entity, filter, options, relations }) => {
    if (!hasAny(relations)) return ok(await service.findOne(entity, filter, options));
    const [row] = await service.findWithRelations(entity, filter ?? {}, relations, { ...options, limit: 1 });
    return ok(row ?? null);
  },
  findById: async (service, { entity, id, options, relations }) => {
    const given = required('MISSING_ID', 'id is required for findById', id);
    return ok(
      hasAny(relations)
        ? await service.findByIdWithRelations(entity, given, relations, options)
        : await service.findById(entity, given, options),
    );
  },
  create: async (service, request) => {
    const data = required('MISSING_DATA', 'data is required for create', request.data);
    return ok(await populated(service, request, await service.create(request.entity, data)));
  },
  update: async (service, request) => {
    const id = required('MISSING_ID', 'id is required for update', request.id);
    const data = required('MISSING_DATA', 'data is required for update', request.data);
    return ok(await populated(service, request, await service.update(request.entity, id, data)));
  },
  updateMany: async (service, { entity, filter, data }) => {
    const needs = 'filter and data are required for updateMany';
    const count = await service.updateMany(entity, required(PARAMS, needs, filter), required(PARAMS, needs, data));
    return { status: 'ok', metadata: { count } };
  },
  delete: async (service, { entity, id }) => {
    return ok(await service.delete(entity, required('MISSING_ID', 'id is required for delete', id)));
  },
  deleteMany: async (service, { entity, filter }) => {
    const count = await service.deleteMany(entity, filter ?? {});
    return { status: 'ok', data: count, metadata: { count } };
  },
  upsert: async (service, request) => {
    const needs = 'filter and data are required for upsert';
    const [filter, data] = [required(PARAMS, needs, request.filter), required(PARAMS, needs, request.data)];
    return ok(await populated(service, request, await service.upsert(request.entity, filter, data)));
  },
  count: async (service, { entity, filter, options }) => {
    const total = await service.count(entity, filter, options);
    return { status: 'ok', data: total, metadata: { total } };
  },
  distinct: async (service, { entity, field, filter, options }) => {
    return counted(await service.distinct(entity, required(PARAMS, 'field is required for distinct', field), filter, options));
  },
  search: async (service, { entity, query, options, searchFields, relations }) => {
    const text = required('MISSING_QUERY', 'query is required for search', query);
    const rows = await service.search(entity, text, options, searchFields);
    return counted(hasAny(relations) ? await allPopulated(service, entity, rows, relations) : rows);
  },
  aggregate: async (service, { entity, stages, options }) => {
    return ok(await service.aggregate(entity, required('MISSING_STAGES', 'stages is required for aggregate', stages), options));
  },
  increment: async (service, { entity, id, field, amount }) => {
    const needs = 'id, field and amount are required for increment';
    const given = required(PARAMS, needs, id);
    return ok(await service.increment(entity, given, required(PARAMS, needs, field), required(PARAMS, needs, amount)));
  },
  addToSet: async (service, { entity, id, field, value }) => {
    const needs = 'id and field are required for addToSet';
    return ok(await service.addToSet(entity, required(PARAMS, needs, id), required(PARAMS, needs, field), value));
  },
  pull: async (service, { entity, id, field, value }) => {
    const needs = 'id and field are required for pull';
    return ok(await service.pull(entity, required(PARAMS, needs, id), required(PARAMS, needs, field), value));
  },
};

/** The answer to a request. It never rejects. */
export async function answer(service: EntityService, request: OrmRequest): Promise<OrmResponse> {
  try {
    const { op, entity } = (request ?? {}) as Partial<OrmRequest>;
    if (typeof entity !== 'string' || !service.hasEntity(entity)) {
      throw new Refusal('ENTITY_NOT_FOUND', `Entity "${String(entity)}" is not registered`);
    }
    if (op === undefined || !Object.hasOwn(OPERATIONS, op)) throw new Refusal('UNKNOWN_OP', `Unknown operation: ${String(op)}`);
    return await OPERATIONS[op](service, request);
  } catch (error) {
    return { status: 'error', error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } };
  }
}

function ok(data: unknown): OrmResponse {
  return { status: 'ok', data };
}

function counted(rows: readonly unknown[]): OrmResponse {
  return { status: 'ok', data: rows, metadata: { count: rows.length } };
}

function required<T>(code: string, message: string, value: T | null | undefined): T {
  if (value === undefined || value === null || value === '') throw new Refusal(code, message);
  return value;
}

function hasAny(relations: readonly string[] | undefined): relations is readonly string[] {
  return relations !== undefined && relations !== null && relations.length > 0;
}

/** The row with its relations, where the request asks for some. */
async function populated(service: EntityService, { entity, relations }: OrmRequest, row: EntityRecord | null): Promise<EntityRecord | null> {
  if (row === null || !hasAny(relations)) return row;
  return (await service.findByIdWithRelations(entity, row.id, relations)) ?? row;
}

/** The rows with their relations, in the same order. */
async function allPopulated(service: EntityService, entity: string, rows: readonly EntityRecord[], relations: readonly string[]): Promise<EntityRecord[]> {
  const found = await service.findWithRelations(entity, { id: { $in: rows.map(({ id }) => id) } }, relations, { includeDeleted: true });
  const byId = new Map(found.map((row) => [row.id, row]));
  return rows.map((row) => byId.get(row.id) ?? row);
}

/** The code of an error, else its name. */
function codeOf(error: unknown): string {
  const { code, name } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  if (typeof code === 'number') return String(code);
  return typeof name === 'string' && name !== '' ? name : 'ORM_ERROR';
}
