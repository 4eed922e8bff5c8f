// The registry of entity schemas.
import { clearRegistry, getAllSchemas, getEntityNames, getSchema, getSchemaByCollection, hasSchema, registerSchema, registerSchemas, validateSchemas } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { beforeEach, expect, test } from 'vitest';

const user: EntityDeclaration = { name: 'User', collection: 'users', fields: { email: { type: 'string' } } };
const post: EntityDeclaration = {
  name: 'Post',
  relations: { author: { type: 'many-to-one', target: 'User' }, tags: { type: 'many-to-many', target: 'Tag' } },
};

beforeEach(() => clearRegistry());

test('one schema or a list can be registered, and missing parts mean empty', () => {
  registerSchema(user);
  registerSchemas([post]);
  expect(getEntityNames()).toEqual(['User', 'Post']);
  expect(getAllSchemas()).toHaveLength(2);
  expect(getSchema('Post')).toEqual({ ...post, collection: 'post', fields: {}, indexes: [], timestamps: false });
  expect(getSchemaByCollection('users')?.name).toBe('User');
  expect(getSchemaByCollection('nothing')).toBeUndefined();
});

test('registering an entity again replaces its schema', () => {
  registerSchema([user, post]);
  registerSchema({ ...user, collection: 'people' });
  expect(getSchema('User').collection).toBe('people');
  expect(getEntityNames()).toEqual(['User', 'Post']);
});

test('a complete schema is kept as the same object', () => {
  const complete = { name: 'A', collection: 'a', fields: {}, relations: {}, indexes: [], timestamps: true };
  registerSchema(complete);
  expect(getSchema('A')).toBe(complete);
});

test('an unknown entity is an error that names the known ones', () => {
  registerSchema([user, post]);
  expect(() => getSchema('Comment')).toThrow(
    expect.objectContaining({
      message: 'Entity "Comment" is not registered. Available entities: User, Post',
      code: 'ENTITY_NOT_FOUND',
    }),
  );
  expect(hasSchema('Comment')).toBe(false);
});

test('validation names each relation that leads nowhere', () => {
  registerSchema([user, post]);
  expect(validateSchemas()).toEqual({ valid: false, errors: ['Post.tags references unknown entity "Tag"'] });
  registerSchema({ name: 'Tag' });
  expect(validateSchemas()).toEqual({ valid: true, errors: [] });
});

test.each([null, 'User', {}, { name: '' }, { name: 5 }])('%j is no schema', (schema) => {
  expect(() => registerSchema(schema as EntityDeclaration)).toThrow(expect.objectContaining({ kind: 'Schema' }));
  expect(getEntityNames()).toEqual([]);
});

test('of a list with something that is no schema nothing is registered', () => {
  expect(() => registerSchema([user, {} as EntityDeclaration])).toThrow();
  expect(getEntityNames()).toEqual([]);
});

test('copies of the package share one registry', () => {
  registerSchema(user);
  const slot = (globalThis as Record<symbol, unknown>)[Symbol.for('replicaverse.schemas')] as Map<string, unknown>;
  expect([...slot.keys()]).toEqual(['User']);
});
