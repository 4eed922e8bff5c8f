// SchemaMapper: what a copy between two dialects gives up, and that odd schemas are reported.
import { SchemaMapper } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { describe, expect, test } from 'vitest';

const article: EntityDeclaration = {
  name: 'Article',
  fields: {
    title: { type: 'string' },
    body: { type: 'text' },
    rating: { type: 'number' },
    live: { type: 'boolean' },
    at: { type: 'date' },
    meta: { type: 'json' },
    tags: { type: 'array' },
  },
  relations: {
    author: { type: 'many-to-one', target: 'Article' },
    related: { type: 'many-to-many', target: 'Article', through: 'article_links' },
  },
};

const messages = (source: string, target: string, severity?: string) =>
  new SchemaMapper(source, target)
    .validate([article])
    .issues.filter((issue) => severity === undefined || issue.severity === severity)
    .map(({ field, message }) => `${field ?? ''}: ${message}`);

test.each<readonly [string, number]>([
  ['mysql', 255],
  ['mariadb', 255],
  ['oracle', 4000],
  ['db2', 4000],
  ['hana', 5000],
  ['spanner', 2_621_440],
  ...['sqlite', 'postgres', 'mongodb', 'mssql', 'cockroachdb', 'hsqldb', 'sybase'].map((name) => [name, Infinity] as const),
])('a string of %s has %d characters at the most', (dialect, limit) => {
  expect(new SchemaMapper('postgres', dialect).getTargetStringLimit()).toBe(limit);
});

test.each([
  ['postgres', true],
  ['cockroachdb', true],
  ['mysql', true],
  ['mariadb', true],
  ['mongodb', true],
  ['sqlite', false],
  ['oracle', false],
])('%s has JSON of its own: %s', (dialect, native) => {
  expect(new SchemaMapper('mongodb', dialect).targetHasNativeJson()).toBe(native);
});

describe('what is given up', () => {
  test('nothing within one dialect, but that junctions need relation-aware sync', () => {
    expect(messages('postgres', 'postgres')).toEqual([expect.stringContaining('junction table "article_links" must be synced separately')]);
    expect(messages('mongodb', 'mongodb')).toEqual([]);
  });

  test('texts that MySQL would cut are a warning, long texts are not', () => {
    expect(messages('postgres', 'mysql', 'warning')[0]).toContain('title: String field may be truncated: postgres (limit: unlimited) → mysql (limit: 255)');
    expect(messages('mysql', 'oracle').join()).not.toContain('truncated');
  });

  test('numbers and dates lose what the target cannot hold, and that is handled', () => {
    expect(messages('postgres', 'mysql', 'ok').join('\n')).toMatch(/rating: .*NaN, Infinity and -Infinity.*\nat: .*3 digits/s);
    expect(messages('postgres', 'sqlite', 'ok').join('\n')).toContain('rating: Number field: NaN cannot');
    expect(messages('postgres', 'mongodb', 'ok').join('\n')).toContain('at: Date field: mongodb keeps 3 digits');
  });

  test('dates beyond four digits of a year are told of where the target refuses them', () => {
    const years = 'at: Date field: mariadb holds the years 1 to 9999; a row with another date is refused';
    for (const source of ['postgres', 'sqlite', 'mongodb', 'cockroachdb']) expect(messages(source, 'mariadb', 'ok').join('\n')).toContain(years);
    expect(messages('mysql', 'mariadb').join()).not.toContain('years');
    expect(messages('postgres', 'sqlite').join()).not.toContain('years');
  });

  test('JSON and arrays become text where the target has neither', () => {
    const warnings = messages('mongodb', 'sqlite', 'warning').join('\n');
    expect(warnings).toContain('meta: JSON field stored as text on sqlite');
    expect(warnings).toContain('tags: Array field stored as JSON text on sqlite');
    expect(messages('mongodb', 'mysql', 'warning').join('\n')).not.toContain('JSON field');
  });

  test('links change their form between documents and tables', () => {
    expect(messages('mongodb', 'postgres', 'warning')).toEqual([
      'related: M2M relation "related": MongoDB embedded arrays → SQL junction table — sync requires relation-aware mode',
    ]);
    expect(messages('postgres', 'mongodb', 'warning').join()).toContain('SQL junction table → MongoDB embedded arrays');
  });

  test('booleans are named once for the whole entity', () => {
    const booleans = new SchemaMapper('postgres', 'sqlite').validate([article]).issues.filter(({ message }) => message.startsWith('Boolean'));
    expect(booleans).toEqual([
      { severity: 'ok', collection: 'Article', message: 'Boolean fields: postgres (native) → sqlite (1/0) — handled by ORM serialization' },
    ]);
  });
});

test('the report names both sides in lower case', () => {
  expect(new SchemaMapper('Postgres', 'MYSQL').validate([])).toEqual({ compatible: true, issues: [], sourceDialect: 'postgres', targetDialect: 'mysql' });
  expect(new SchemaMapper('postgres', 'mongodb').isCrossParadigm()).toBe(true);
  expect(new SchemaMapper('postgres', 'sqlite').isCrossParadigm()).toBe(false);
});

test('many-to-many relations are found', () => {
  const mapper = new SchemaMapper('postgres', 'mongodb');
  expect(mapper.getM2MCollections([{ name: 'Plain' }, article])).toEqual(['Article']);
  expect(mapper.getM2MRelations(article)).toEqual([{ name: 'related', target: 'Article', through: 'article_links' }]);
});

test('a dialect that is not known is said to be', () => {
  expect(new SchemaMapper('postgres', 'dbase').validate([]).issues).toMatchObject([{ severity: 'warning', collection: '*' }]);
});

test.each([
  [undefined, 'expected a list of schemas, found undefined'],
  [['User'], 'expected a schema, found a string'],
  [[null], 'expected a schema, found null'],
  [[{}], 'the schema has no name'],
  [[{ name: 'A', fields: [] }], '"fields" is a list'],
  [[{ name: 'A', fields: { a: null } }], 'declared as null'],
  [[{ name: 'A', fields: { a: { type: 'int' } } }], 'unknown field type "int"'],
  [[{ name: 'A', fields: { a: { type: { toString: null } } } }], 'unknown field type'],
  [[{ name: 'A', relations: { r: 5 } }], 'declared as a number'],
  [[{ name: 'A', relations: { r: { type: 'one', target: 'A' } } }], 'unknown relation type "one"'],
  [[{ name: 'A', relations: { r: { type: 'many-to-one' } } }], 'names no target'],
])('%j is reported as an error, not thrown', (schemas, message) => {
  const report = new SchemaMapper('postgres', 'mysql').validate(schemas as EntityDeclaration[]);
  expect(report.compatible).toBe(false);
  expect(report.issues).toContainEqual(expect.objectContaining({ severity: 'error', message: expect.stringContaining(message) }));
});
