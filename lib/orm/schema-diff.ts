// What has changed between two versions of an application's entities, and the statements for it.
import type { EntityDeclaration, FieldDef, FieldType, IndexDef } from '../types/schema.js';
import { completeSchema } from './registry.js';

/** One change of the entities. */
export type DiffOperation =
  | { type: 'addEntity'; schema: EntityDeclaration }
  | { type: 'removeEntity'; entity: string; collection: string }
  | { type: 'renameCollection'; entity: string; from: string; to: string }
  | (OfTable &
      (
        | { type: 'addField'; field: string; def: FieldDef }
        | { type: 'removeField'; field: string }
        | { type: 'alterField'; field: string; from: FieldDef; to: FieldDef }
        | { type: 'addIndex' | 'removeIndex'; index: IndexDef }
        | { type: 'addTimestamps' | 'removeTimestamps' | 'addSoftDelete' | 'removeSoftDelete' }
        | { type: 'addDiscriminator'; field: string; value: string }
        | { type: 'removeDiscriminator'; field: string }
      ));

interface OfTable {
  entity: string;
  /** The table, as it is called after the changes. */
  collection: string;
}

type Complete = ReturnType<typeof completeSchema>;

/** The changes that make the former entities the latter, in the order in which they can be done. */
export function diffSchemas(former: readonly EntityDeclaration[], latter: readonly EntityDeclaration[]): DiffOperation[] {
  const [before, after] = [byName(former), byName(latter)];
  const added = [...after.values()].filter(({ name }) => !before.has(name));
  const removed = [...before.values()].filter(({ name }) => !after.has(name));
  const changes = [...after.values()].flatMap((schema) => {
    const old = before.get(schema.name);
    return old === undefined ? [] : changesOf(old, schema);
  });
  return [
    ...added.map((schema) => ({ type: 'addEntity' as const, schema })),
    ...removed.map(({ name, collection }) => ({ type: 'removeEntity' as const, entity: name, collection })),
    ...changes,
  ];
}

function byName(schemas: readonly EntityDeclaration[]): Map<string, Complete> {
  return new Map(schemas.map((schema) => [schema.name, completeSchema(schema)]));
}

function changesOf(former: Complete, latter: Complete): DiffOperation[] {
  const table: OfTable = { entity: latter.name, collection: latter.collection };
  const renamed: DiffOperation[] =
    former.collection === latter.collection
      ? []
      : [{ type: 'renameCollection', entity: latter.name, from: former.collection, to: latter.collection }];
  return [...renamed, ...fieldChanges(table, former, latter), ...indexChanges(table, former, latter), ...featureChanges(table, former, latter)];
}

function fieldChanges(table: OfTable, { fields: former }: Complete, { fields: latter }: Complete): DiffOperation[] {
  const changes: DiffOperation[] = [];
  for (const [field, def] of Object.entries(latter)) {
    const old = former[field];
    if (old === undefined) changes.push({ ...table, type: 'addField', field, def });
    else if (!isSameField(old, def)) changes.push({ ...table, type: 'alterField', field, from: old, to: def });
  }
  const gone = Object.keys(former).filter((field) => latter[field] === undefined);
  return [...changes, ...gone.map((field) => ({ ...table, type: 'removeField' as const, field }))];
}

function indexChanges(table: OfTable, { indexes: former }: Complete, { indexes: latter }: Complete): DiffOperation[] {
  const without = (list: readonly IndexDef[], others: readonly IndexDef[]): IndexDef[] =>
    list.filter((index) => !others.some((other) => isSame(contentOf(index), contentOf(other))));
  return [
    ...without(latter, former).map((index) => ({ ...table, type: 'addIndex' as const, index })),
    ...without(former, latter).map((index) => ({ ...table, type: 'removeIndex' as const, index })),
  ];
}

function featureChanges(table: OfTable, former: Complete, latter: Complete): DiffOperation[] {
  const changes: DiffOperation[] = [];
  if (!former.timestamps && latter.timestamps) changes.push({ ...table, type: 'addTimestamps' });
  if (former.timestamps && !latter.timestamps) changes.push({ ...table, type: 'removeTimestamps' });
  if (!former.softDelete && latter.softDelete) changes.push({ ...table, type: 'addSoftDelete' });
  if (former.softDelete && !latter.softDelete) changes.push({ ...table, type: 'removeSoftDelete' });
  if (former.discriminator !== latter.discriminator) {
    if (former.discriminator) changes.push({ ...table, type: 'removeDiscriminator', field: former.discriminator });
    const value = latter.discriminatorValue ?? latter.name;
    if (latter.discriminator) changes.push({ ...table, type: 'addDiscriminator', field: latter.discriminator, value });
  }
  return changes;
}

function isSameField(one: FieldDef, other: FieldDef): boolean {
  const content = ({ type, required, unique, enum: allowed, default: value }: FieldDef) => [type, required ?? false, unique ?? false, allowed, value];
  return isSame(content(one), content(other));
}

function contentOf({ fields, unique, sparse }: IndexDef): unknown {
  return [Array.isArray(fields) ? fields.map((field) => [field, 'asc']) : Object.entries(fields), unique ?? false, sparse ?? false];
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

const COLUMN_TYPES: Readonly<Record<FieldType, string>> = {
  string: 'VARCHAR(255)',
  text: 'TEXT',
  number: 'NUMERIC',
  boolean: 'BOOLEAN',
  date: 'TIMESTAMP',
  json: 'TEXT',
  array: 'TEXT',
};

/**
 * Changes as statements of standard SQL, for a person to look through: types are those that most databases know, and what
 * cannot be said in one statement is a comment.
 */
export function generateMigrationSQL(operations: readonly DiffOperation[]): string[] {
  return operations.flatMap(statementsOf);
}

function statementsOf(operation: DiffOperation): string[] {
  switch (operation.type) {
    case 'addEntity':
      return [`-- CREATE TABLE ${commentable(completeSchema(operation.schema).collection)}: made by initSchema`];
    case 'removeEntity':
      return [`DROP TABLE IF EXISTS ${quoted(operation.collection)};`];
    case 'renameCollection':
      return [`ALTER TABLE ${quoted(operation.from)} RENAME TO ${quoted(operation.to)};`];
    case 'addField':
      return [addColumn(operation, operation.field, columnOf(operation.def))];
    case 'removeField':
    case 'removeDiscriminator':
      return [dropColumn(operation, operation.field)];
    case 'alterField':
      return [
        `-- ${commentable(operation.collection)}.${commentable(operation.field)}: ${operation.from.type} → ${operation.to.type}; look through the values first`,
        `ALTER TABLE ${quoted(operation.collection)} ALTER COLUMN ${quoted(operation.field)} TYPE ${COLUMN_TYPES[operation.to.type]};`,
      ];
    case 'addIndex':
      return [createIndex(operation, operation.index)];
    case 'removeIndex':
      return [`DROP INDEX IF EXISTS ${quoted(indexName(operation, operation.index))};`];
    case 'addTimestamps':
      return ['createdAt', 'updatedAt'].map((column) => addColumn(operation, column, 'TIMESTAMP'));
    case 'removeTimestamps':
      return ['createdAt', 'updatedAt'].map((column) => dropColumn(operation, column));
    case 'addSoftDelete':
      return [addColumn(operation, 'deletedAt', 'TIMESTAMP')];
    case 'removeSoftDelete':
      return [`-- rows of ${commentable(operation.collection)} that were deleted softly would come back`, dropColumn(operation, 'deletedAt')];
    case 'addDiscriminator':
      return [addColumn(operation, operation.field, `VARCHAR(100) NOT NULL DEFAULT ${literal(operation.value)}`)];
  }
}

function addColumn({ collection }: OfTable, column: string, definition: string): string {
  return `ALTER TABLE ${quoted(collection)} ADD COLUMN ${quoted(column)} ${definition};`;
}

function dropColumn({ collection }: OfTable, column: string): string {
  return `ALTER TABLE ${quoted(collection)} DROP COLUMN ${quoted(column)};`;
}

function columnOf({ type, required, default: value }: FieldDef): string {
  const presence = required === true ? ' NOT NULL' : '';
  return `${COLUMN_TYPES[type]}${presence}${value === undefined || value === 'now' ? '' : ` DEFAULT ${literal(value)}`}`;
}

function createIndex(table: OfTable, index: IndexDef): string {
  const columns = indexColumns(index).map(quoted).join(', ');
  return `CREATE ${index.unique === true ? 'UNIQUE ' : ''}INDEX IF NOT EXISTS ${quoted(indexName(table, index))} ON ${quoted(table.collection)} (${columns});`;
}

function indexName({ collection }: OfTable, index: IndexDef): string {
  return `idx_${collection}_${indexColumns(index).join('_')}`;
}

function indexColumns({ fields }: IndexDef): string[] {
  return Array.isArray(fields) ? fields : Object.keys(fields);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(value: unknown): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return `'${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll("'", "''")}'`;
}

/** A comment ends with its line. */
function commentable(name: string): string {
  return name.replaceAll(/[\r\n]+/g, ' ');
}
