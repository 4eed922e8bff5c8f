// Whether entities of one dialect can be copied to another, and what becomes of them there.
import type { EntityDeclaration, RelationDef } from '../types/schema.js';
import { KNOWN_DIALECTS, traitsOf } from './dialect-traits.js';
import { type CompatIssue, fieldFindings, type Side } from './schema-mapper-fields.js';

/** What a copy between two dialects gives up. */
export interface CompatReport {
  /** Whether no finding is an error. */
  compatible: boolean;
  issues: CompatIssue[];
  sourceDialect: string;
  targetDialect: string;
}

/** A many-to-many relation. */
export interface ManyToManyRelation {
  /** The relation's name. */
  name: string;
  /** The entity on the other side. */
  target: string;
  /** The junction table, if one is named. */
  through?: string;
}

const RELATION_TYPES = ['one-to-one', 'many-to-one', 'one-to-many', 'many-to-many'];

/** Compares what two dialects can hold. It needs no connection, and never throws on a schema, however odd. */
export class SchemaMapper {
  readonly #source: Side;
  readonly #target: Side;

  /** @param sourceDialect the name of a dialect, in any case; one that is not known is taken to have no limits */
  constructor(sourceDialect: string, targetDialect: string) {
    this.#source = sideOf(sourceDialect);
    this.#target = sideOf(targetDialect);
  }

  /** Everything that a copy of these entities gives up, or that makes it impossible. */
  validate(schemas: readonly EntityDeclaration[]): CompatReport {
    const declared: readonly unknown[] = Array.isArray(schemas) ? schemas : [];
    const names = new Set(declared.filter(isObject).map(({ name }) => name));
    const issues = [...this.#dialectIssues(), ...declared.flatMap((schema) => this.#entityIssues(schema, names))];
    if (!Array.isArray(schemas)) issues.push(entityError('*', `expected a list of schemas, found ${kindOf(schemas)}`));
    return {
      compatible: issues.every(({ severity }) => severity !== 'error'),
      issues,
      sourceDialect: this.#source.name,
      targetDialect: this.#target.name,
    };
  }

  /** How many characters a `string` field of the target holds; Infinity without a limit. */
  getTargetStringLimit(): number {
    return this.#target.traits.stringLimit;
  }

  /** Whether the target stores JSON as such, and not as text. */
  targetHasNativeJson(): boolean {
    return this.#target.traits.nativeJson;
  }

  /** Whether one side holds documents and the other tables. */
  isCrossParadigm(): boolean {
    return this.#source.traits.documents !== this.#target.traits.documents;
  }

  /** The names of the entities that have a many-to-many relation. */
  getM2MCollections(schemas: readonly EntityDeclaration[]): string[] {
    return schemas.filter((schema) => this.getM2MRelations(schema).length > 0).map(({ name }) => name);
  }

  /** The many-to-many relations of an entity. */
  getM2MRelations(schema: EntityDeclaration): ManyToManyRelation[] {
    return entriesOf(schema?.relations)
      .filter((entry): entry is [string, RelationDef] => isObject(entry[1]) && entry[1].type === 'many-to-many')
      .map(([name, { target, through }]) => (through === undefined ? { name, target } : { name, target, through }));
  }

  #dialectIssues(): CompatIssue[] {
    return [...new Set([this.#source.name, this.#target.name])]
      .filter((name) => !KNOWN_DIALECTS.includes(name))
      .map((name) => ({
        severity: 'warning' as const,
        collection: '*',
        message: `Dialect "${name}" is not known; it is taken to have no limits. Known are ${KNOWN_DIALECTS.join(', ')}`,
      }));
  }

  #entityIssues(schema: unknown, names: ReadonlySet<unknown>): CompatIssue[] {
    if (!isObject(schema)) return [entityError('?', `expected a schema, found ${kindOf(schema)}`)];
    const { name } = schema;
    if (typeof name !== 'string' || name === '') return [entityError('?', 'the schema has no name')];
    const [fields, relations] = [schema.fields, schema.relations];
    return [
      ...malformed(name, 'fields', fields),
      ...malformed(name, 'relations', relations),
      ...entriesOf(fields).flatMap(([field, definition]) => this.#fieldIssues(name, field, definition)),
      ...entriesOf(relations).flatMap(([relation, definition]) => this.#relationIssues(name, relation, definition, names)),
      ...this.#featureIssues(name, fields),
    ];
  }

  #fieldIssues(collection: string, field: string, definition: unknown): CompatIssue[] {
    return fieldFindings(definition, this.#source, this.#target).map((finding) => ({ ...finding, collection, field }));
  }

  #relationIssues(collection: string, field: string, relation: unknown, names: ReadonlySet<unknown>): CompatIssue[] {
    const found = (severity: CompatIssue['severity'], message: string): CompatIssue[] => [{ severity, collection, field, message }];
    if (!isObject(relation)) return found('error', `the relation is declared as ${kindOf(relation)}, not as an object`);
    const { type, target, through } = relation as Partial<RelationDef>;
    if (typeof type !== 'string' || !RELATION_TYPES.includes(type)) {
      return found('error', `unknown relation type ${typeof type === 'string' ? `"${String(type)}"` : `of ${typeof type}`}; known are ${RELATION_TYPES.join(', ')}`);
    }
    if (typeof target !== 'string') return found('error', 'the relation names no target');
    const unknown = names.has(target) ? [] : found('ok', `the target entity "${target}" is not among the schemas compared`);
    if (type !== 'many-to-many') return unknown;
    if (this.isCrossParadigm()) {
      return [...unknown, ...found('warning', `M2M relation "${field}": ${this.#links(this.#source)} → ${this.#links(this.#target)} — sync requires relation-aware mode`)];
    }
    if (this.#source.traits.documents || through === undefined) return unknown;
    return [...unknown, ...found('warning', `M2M junction table "${through}" must be synced separately or use relation-aware sync`)];
  }

  #links({ traits }: Side): string {
    return traits.documents ? 'MongoDB embedded arrays' : 'SQL junction table';
  }

  #featureIssues(collection: string, fields: unknown): CompatIssue[] {
    const hasBoolean = entriesOf(fields).some(([, definition]) => isObject(definition) && definition.type === 'boolean');
    const [from, to] = [booleans(this.#source), booleans(this.#target)];
    if (!hasBoolean || from === to) return [];
    const message = `Boolean fields: ${this.#source.name} (${from}) → ${this.#target.name} (${to}) — handled by ORM serialization`;
    return [{ severity: 'ok', collection, message }];
  }
}

function sideOf(dialect: string): Side {
  return { name: String(dialect).toLowerCase(), traits: traitsOf(dialect) };
}

function booleans({ traits }: Side): string {
  return traits.nativeBoolean ? 'native' : '1/0';
}

/** Fields or relations, which may also be left out. */
function malformed(collection: string, part: string, value: unknown): CompatIssue[] {
  return value === undefined || value === null || isObject(value) ? [] : [entityError(collection, `"${part}" is ${kindOf(value)}, not an object`)];
}

function entriesOf(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function entityError(collection: string, message: string): CompatIssue {
  return { severity: 'error', collection, message };
}
