// Rows that are found by a unique field: by its value, and never by a condition that came in its place.
import { BaseRepository } from 'replicaverse';
import type { EntityDeclaration, EntityIdentity, IDialect } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';

const user: EntityDeclaration = { name: 'User', collection: 'users', fields: { token: { type: 'string', unique: true } } };

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
    db = await database.connect([user]);
    await db.create(user, { id: 'admin', token: 'secret' });
  }, 120_000);
  afterAll(() => database?.stop());

  test('a value finds its row, and operators are refused', async () => {
    const repository = new BaseRepository(user, db);
    const found = { id: 'admin', token: 'secret' };
    expect(await db.findById(user, { token: 'secret' })).toMatchObject(found);
    expect(await repository.findById({ token: 'secret' })).toMatchObject(found);
    for (const operators of [{ $ne: 'x' }, { $regex: '^s' }]) {
      const lookup = { token: operators } as unknown as EntityIdentity;
      await expect(db.findById(user, lookup)).rejects.toMatchObject({ code: 'ERR_FILTER' });
      await expect(repository.findById(lookup)).rejects.toMatchObject({ code: 'ERR_FILTER' });
    }
  });
});
