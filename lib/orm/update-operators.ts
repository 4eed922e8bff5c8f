// Changes that are given as MongoDB's operators, such as {$inc: {visits: 1}}, made of the operations of a dialect.
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicaverseError, valueError } from '../errors.js';
import type { IDialect } from '../types/dialect.js';
import type { DalFilter, EntityIdentity } from '../types/query.js';
import type { EntityDeclaration } from '../types/schema.js';
import { checkWriteFilter } from './value-encoding.js';

/** How often a transaction is tried with which others collide. */
const COLLISIONS = 30;
const LONGEST_PAUSE_MS = 100;

type Fields = Readonly<Record<string, unknown>>;

/** One change of a row. */
type Change = (dialect: IDialect, schema: EntityDeclaration, id: EntityIdentity) => Promise<unknown>;

/** What each operator asks for, field by field. */
const OPERATORS: Readonly<Record<string, (field: string, operand: unknown) => Change[]>> = {
  $inc: (field, amount) => [(dialect, schema, id) => dialect.increment(schema, id, field, amount as number)],
  $addToSet: (field, operand) => eachOf(operand).map((value) => (dialect, schema, id) => dialect.addToSet(schema, id, field, value)),
  $pull: (field, value) => [(dialect, schema, id) => dialect.pull(schema, id, field, value)],
};

/** Whether data holds operators beside or in place of fields. */
export function hasOperators(data: unknown): boolean {
  return typeof data === 'object' && data !== null && Object.keys(data).some((key) => key.startsWith('$'));
}

/** Changes the row of an id as operators say, wholly or not at all, and gives it as stored; `null` if there is none. */
export async function updateByOperators<T>(dialect: IDialect, schema: EntityDeclaration, id: EntityIdentity, data: object): Promise<T | null> {
  const changes = changesOf(data);
  if ((await dialect.findById(schema, id)) === null) return null;
  await together(dialect, changes.length, async (on) => {
    for (const change of changes) await change(on, schema, id);
  });
  return await dialect.findById<T>(schema, id);
}

/** Changes every row that passes the filter as operators say, wholly or not at all; how many there were. */
export async function updateManyByOperators(dialect: IDialect, schema: EntityDeclaration, filter: DalFilter, data: object): Promise<number> {
  const changes = changesOf(data);
  checkWriteFilter(filter);
  const rows = await dialect.find<{ id: string }>(schema, filter, { select: ['id'] });
  await together(dialect, rows.length * changes.length, async (on) => {
    for (const { id } of rows) {
      for (const change of changes) await change(on, schema, id);
    }
  });
  return rows.length;
}

async function together(dialect: IDialect, changes: number, work: (on: IDialect) => Promise<void>): Promise<void> {
  if (changes < 2) await work(dialect);
  else await untilNoneCollides(() => dialect.$transaction(work));
}

/** Tries a transaction again with which others have collided: MongoDB refuses the later of two instead of letting it wait. */
async function untilNoneCollides(attempt: () => Promise<void>): Promise<void> {
  for (let number = 1; ; number += 1) {
    try {
      return await attempt();
    } catch (error) {
      const collided = error instanceof ReplicaverseError && error.kind === 'Conflict';
      if (!collided || number === COLLISIONS) throw error;
      await delay(Math.random() * Math.min(2 ** number, LONGEST_PAUSE_MS));
    }
  }
}

function changesOf(data: object): Change[] {
  const fields: Record<string, unknown> = {};
  const changes: Change[] = [];
  for (const [key, operand] of Object.entries(data)) {
    if (!key.startsWith('$')) fields[key] = operand;
    else if (key === '$set') Object.assign(fields, fieldsOf(key, operand));
    else if (key === '$unset') for (const field of Object.keys(fieldsOf(key, operand))) fields[field] = null;
    else changes.push(...changesBy(key, operand));
  }
  if (Object.keys(fields).length === 0) return changes;
  return [(dialect, schema, id) => dialect.update(schema, id, fields), ...changes];
}

function changesBy(operator: string, operand: unknown): Change[] {
  const changes = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (changes === undefined) {
    throw valueError(`data: unknown operator ${operator}; known are $set, $unset, ${Object.keys(OPERATORS).join(', ')}`);
  }
  return Object.entries(fieldsOf(operator, operand)).flatMap(([field, value]) => changes(field, value));
}

function fieldsOf(operator: string, operand: unknown): Fields {
  if (typeof operand === 'object' && operand !== null && !Array.isArray(operand)) return operand as Fields;
  throw valueError(`data.${operator}: expected an object of fields`);
}

/** The values of `{$each: [...]}`, else the one that is given. */
function eachOf(operand: unknown): readonly unknown[] {
  const each = typeof operand === 'object' && operand !== null ? (operand as { $each?: unknown }).$each : undefined;
  return Array.isArray(each) ? each : [operand];
}
