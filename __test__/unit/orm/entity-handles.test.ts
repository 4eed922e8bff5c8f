// Handles to entities together with those that they are related to.
import { clearRegistry, registerSchema } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { afterEach, expect, test } from 'vitest';
import { EntityHandles } from '../../../dist/orm/entity-handles.js';
import { nativeSchema } from '../../../dist/orm/native-schema.js';

const post: EntityDeclaration = { name: 'Post', relations: { author: { type: 'many-to-one', target: 'User' } } };
const user: EntityDeclaration = { name: 'User' };
const other: EntityDeclaration = { name: 'Other' };

afterEach(() => clearRegistry());

test('an entity without related ones has the handle of its schema', () => {
  const handles = new EntityHandles();
  handles.add([post, user, other]);
  expect(handles.of(other)).toBe(nativeSchema(other));
});

test('a handle is made once while nothing becomes known', () => {
  const handles = new EntityHandles();
  handles.add([post, user]);
  expect(handles.of(post)).toBe(handles.of(post));
  expect(handles.of(post)).not.toBe(nativeSchema(post));
  expect(handles.of(user)).not.toBe(nativeSchema(user));
});

test('a handle is made anew when an entity is registered or its table is brought into being', () => {
  const handles = new EntityHandles();
  const alone = handles.of(post);
  registerSchema(user);
  const registered = handles.of(post);
  expect(registered).not.toBe(alone);
  handles.add([user]);
  expect(handles.of(post)).not.toBe(registered);
  clearRegistry();
  expect(handles.of(post)).not.toBe(nativeSchema(post));
});

test('a malformed entity is named only where it is related', () => {
  const handles = new EntityHandles();
  registerSchema([user, other, { name: 'Broken', fields: { x: { type: 'int' as never } } }]);
  expect(handles.of(other)).toBe(nativeSchema(other));
  const related: EntityDeclaration = { name: 'Related', relations: { broken: { type: 'many-to-one', target: 'Broken' } } };
  expect(() => handles.of(related)).toThrow(expect.objectContaining({ kind: 'Schema', message: expect.stringContaining('Broken.fields.x') }));
});
