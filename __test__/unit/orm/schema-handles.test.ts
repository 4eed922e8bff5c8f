// Entity schemas as the native core reads them.
import type { EntityDeclaration } from 'replicaverse';
import { expect, test } from 'vitest';
import { nativeSchema } from '../../../dist/orm/native-schema.js';

test('a schema object is read once', () => {
  const schema: EntityDeclaration = { name: 'User', fields: { age: { type: 'number' } } };
  expect(nativeSchema(schema)).toBe(nativeSchema(schema));
  expect(nativeSchema({ ...schema })).not.toBe(nativeSchema(schema));
});

test.each([
  [{ name: 'User', fields: { age: { type: 'int' } } }, 'User.fields.age.type: unknown value "int"'],
  [{ name: 'User', relations: { boss: { type: 'one', target: 'User' } } }, 'User.relations.boss.type'],
  [{ name: 'User', indexes: [{ fields: [] }] }, 'User.indexes[0].fields'],
  [{ name: 'User', fields: { 'a.b': { type: 'text' } } }, '"a.b" cannot be a field name'],
  [{ name: 'User', fields: { at: { type: 'date', default: () => 1 } } }, 'schema User: "default" holds a function'],
  ['User', 'expected an entity schema, found "User"'],
  [undefined, 'expected an entity schema, found undefined'],
])('%j is refused with the place of the mistake', (schema, message) => {
  expect(() => nativeSchema(schema as EntityDeclaration)).toThrow(
    expect.objectContaining({ message: expect.stringContaining(message), kind: 'Schema', code: 'ERR_SCHEMA' }),
  );
});
