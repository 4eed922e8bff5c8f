// Documents in the shape of rows, and the errors that applications throw.
import { ConnectionError, DialectNotFoundError, EntityNotFoundError, MostaORMError, normalizeDoc, normalizeDocs, ValidationError } from 'replicaverse';
import { expect, test } from 'vitest';

test('a document becomes a row with an id in place of _id, also within it', () => {
  const id = { toString: () => 'abc' };
  const document = { _id: id, __v: 0, name: 'x', owner: { _id: 1, __v: 3 }, tags: [{ _id: 't' }, 'plain', null], at: new Date(0) };
  expect(normalizeDoc(document)).toEqual({ id: 'abc', name: 'x', owner: { id: '1' }, tags: [{ id: 't' }, 'plain', null], at: new Date(0) });
  expect(normalizeDocs([{ id: 'kept', n: 1 }])).toEqual([{ id: 'kept', n: 1 }]);
  expect(normalizeDoc(null)).toBeNull();
});

test('the errors for applications are of one kind, with the messages that are looked for', () => {
  for (const [error, name, message] of [
    [new EntityNotFoundError('User', '5'), 'EntityNotFoundError', 'User with id "5" not found'],
    [new EntityNotFoundError('User'), 'EntityNotFoundError', 'User not found'],
    [new ConnectionError('postgres', 'refused'), 'ConnectionError', 'Failed to connect to postgres: refused'],
    [new ValidationError('User', 'no name'), 'ValidationError', 'Validation failed for User: no name'],
    [new DialectNotFoundError('x'), 'DialectNotFoundError', 'Dialect "x" is not supported'],
  ] as const) {
    expect(error).toBeInstanceOf(MostaORMError);
    expect(error).toMatchObject({ name, message, code: expect.any(String) });
  }
});
