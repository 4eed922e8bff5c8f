// What findById is given, told apart.
import { BaseRepository, extractRelId, findMatchingUniqueIndex, OrmIntrospectionError, ReplicaverseError, resolveLookup } from 'replicaverse';
import type { EntityDeclaration, IDialect } from 'replicaverse';
import { expect, test, vi } from 'vitest';

const member: EntityDeclaration = {
  name: 'Member',
  fields: { email: { type: 'string', unique: true }, role: { type: 'string' }, team: { type: 'string' } },
  indexes: [{ fields: { team: 'asc', role: 'asc' }, unique: true }, { fields: { role: 'asc' } }],
};

test('an id, and an object with one, are looked up by it', () => {
  expect(resolveLookup(member, 'a')).toEqual({ kind: 'pk', id: 'a' });
  expect(resolveLookup(member, 7)).toEqual({ kind: 'pk', id: '7' });
  expect(resolveLookup(member, { id: 'a', name: 'x' })).toEqual({ kind: 'pk', id: 'a' });
});

test('the fields of a unique index, or a unique field, are looked up by their values', () => {
  expect(resolveLookup(member, { team: 't', role: 'r' })).toMatchObject({ kind: 'natural', filter: { team: 't', role: 'r' } });
  expect(findMatchingUniqueIndex(member, { email: 'e', role: 'r' })).toMatchObject({ filter: { email: 'e' } });
  expect(findMatchingUniqueIndex(member, { team: 't', role: '' })).toBeNull();
});

test('nothing is looked up by nothing', async () => {
  for (const nothing of [null, undefined, '']) {
    expect(resolveLookup(member, nothing)).toEqual({ kind: 'empty' });
    expect(await new BaseRepository(member, {} as IDialect).findById(nothing)).toBeNull();
  }
});

test('an object by which no row can be looked up is refused, with what it has and what it could have', async () => {
  const repository = new BaseRepository(member, { findById: vi.fn() } as unknown as IDialect);
  const failure: unknown = await repository.findById({ role: 'r' }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(OrmIntrospectionError);
  expect(failure).toBeInstanceOf(ReplicaverseError);
  expect(failure).toMatchObject({
    name: 'OrmIntrospectionError',
    schemaName: 'Member',
    input: { role: 'r' },
    availableFields: ['role'],
    message: expect.stringMatching(/Cannot resolve findById on 'Member'.*\[role\].*\[team\+role, email\]/),
  });
  expect(() => resolveLookup(member, true)).toThrow("unsupported input type 'boolean'");
});

test('a reference gives its id, whether its row was read along or not', () => {
  expect([extractRelId('a'), extractRelId({ id: 'a' }), extractRelId(5), extractRelId({ toHexString: () => 'ff' })]).toEqual(['a', 'a', '5', 'ff']);
  expect([extractRelId(null), extractRelId(undefined), extractRelId({ slug: 'x' }), extractRelId(true)]).toEqual(['', '', '', '']);
});
