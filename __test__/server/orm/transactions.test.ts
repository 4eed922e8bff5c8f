// Transactions: the same behaviour on every dialect.
import { BaseRepository } from 'replicaverse';
import type { DalFilter, EntityDeclaration, IDialect, ITransaction } from 'replicaverse';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';
import { note } from './schemas.js';

const counter: EntityDeclaration = { name: 'Counter', collection: 'counters', fields: { title: { type: 'string' }, a: { type: 'number' }, b: { type: 'number' } } };

describe.each(DIALECTS)('on %s', (dialect) => {
  let database: Database;
  let db: IDialect;

  beforeAll(async () => {
    database = await startDatabase(dialect);
  });
  beforeEach(async () => {
    db = await database.connect([note, counter]);
  });
  afterAll(() => database?.stop());

  test('a transaction that ends well is kept, and gives what its work gave', async () => {
    const title = await db.$transaction(async (tx) => {
      const row = await tx.create(note, { id: '1', title: 'kept' });
      expect(await tx.count(note)).toBe(1);
      expect(await db.count(note)).toBe(0);
      return row.title;
    });
    expect(title).toBe('kept');
    expect(await db.findById(note, '1')).toMatchObject({ title: 'kept' });
  });

  test('a transaction that fails leaves nothing, and the failure is rethrown', async () => {
    const failure = new Error('on purpose');
    const work = db.$transaction(async (tx) => {
      await tx.create(note, { id: '1' });
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await db.count(note)).toBe(0);
  });

  test('after its end a transaction can no longer be used', async () => {
    let ended: IDialect | undefined;
    await db.$transaction(async (tx) => {
      ended = tx;
      await tx.create(note, { id: '1' });
    });
    await expect(ended!.create(note, { id: '2' })).rejects.toMatchObject({ kind: 'Transaction', code: 'ERR_TRANSACTION' });
    expect(await db.count(note)).toBe(1);
  });

  test('only what beginTx gave can be committed and rolled back', async () => {
    for (const nothing of [undefined, null, {}, 'tx'] as unknown as ITransaction[]) {
      await expect(db.commitTx(nothing)).rejects.toMatchObject({ kind: 'Transaction', code: 'ERR_TRANSACTION' });
      await expect(db.rollbackTx(nothing)).rejects.toMatchObject({ kind: 'Transaction', code: 'ERR_TRANSACTION' });
    }
  });

  test('a transaction can be begun and ended by hand', async () => {
    const kept = await db.beginTx({ isolation: 'SERIALIZABLE' });
    await kept.create(note, { id: '1' });
    await db.commitTx(kept);
    const undone = await db.beginTx();
    await undone.create(note, { id: '2' });
    await undone.rollback();
    await undone.rollback();
    expect((await db.find(note)).map(({ id }) => id)).toEqual(['1']);
  });

  test('an isolation level that does not exist is named', async () => {
    await expect(db.beginTx({ isolation: 'chaos' })).rejects.toMatchObject({
      message: expect.stringContaining('unknown level "chaos"'),
      code: 'ERR_CONFIG',
    });
  });

  test('a transaction cannot be connected or disconnected', async () => {
    const tx = await db.beginTx();
    await expect(tx.disconnect()).rejects.toMatchObject({ kind: 'Transaction' });
    await expect(tx.connect({ dialect, uri: database.uri })).rejects.toMatchObject({ kind: 'Transaction' });
    await tx.rollback();
  });

  test('what its work does through repositories on the database is kept or undone with it', async () => {
    const notes = new BaseRepository(note, db);
    await db.$transaction(async () => {
      await notes.create({ id: '1', title: 'a' });
      expect(await notes.count()).toBe(1);
    });
    const failure = db.$transaction(async (tx) => {
      await tx.create(note, { id: '2' });
      await notes.update('1', { title: 'b' });
      expect(await notes.findById('1')).toMatchObject({ title: 'b' });
      throw new Error('on purpose');
    });
    await expect(failure).rejects.toThrow('on purpose');
    expect(await db.find(note)).toMatchObject([{ id: '1', title: 'a' }]);
  });

  test('what follows beginTx belongs to the transaction until it ends', async () => {
    const undone = await db.beginTx();
    expect(undone).toMatchObject({ id: expect.any(String), depth: 1, startedAt: expect.any(Number) });
    await db.create(note, { id: '1' });
    await db.rollbackTx(undone);
    expect(await db.count(note)).toBe(0);
    const kept = await db.beginTx();
    await db.create(note, { id: '2' });
    await db.commitTx(kept);
    await db.create(note, { id: '3' });
    expect((await db.find(note, {}, { sort: { id: 1 } })).map(({ id }) => id)).toEqual(['2', '3']);
  });

  test('a transaction that is used by itself leaves what goes through the database outside', async () => {
    const open = await db.beginTx();
    expect(await open.count(note)).toBe(0);
    const notes = new BaseRepository(note, db);
    if (dialect !== 'sqlite') await notes.create({ id: '1' });
    await open.rollback();
    expect(await notes.count()).toBe(dialect === 'sqlite' ? 0 : 1);
  });

  test('what others do at the same time does not belong to it', async () => {
    let settle = (): void => undefined;
    const gate = new Promise<void>((resolve) => (settle = resolve));
    const work = db.$transaction(async () => {
      expect(await db.count(note)).toBe(0);
      await gate;
      throw new Error('on purpose');
    });
    const outcome = expect(work).rejects.toThrow('on purpose');
    expect(await db.count(note)).toBe(0);
    settle();
    await outcome;
    await db.create(note, { id: '1' });
    const both = ['2', '3'].map((id) => db.$transaction(() => db.create(note, { id })));
    await Promise.all(both);
    expect(await db.count(note)).toBe(3);
  });

  if (dialect !== 'mongodb') {
    test('a transaction that is begun within one, through the database, is a savepoint', async () => {
      const outer = await db.beginTx();
      await db.create(note, { id: '1' });
      const inner = await db.beginTx();
      expect(inner.depth).toBe(2);
      await db.create(note, { id: '2' });
      await db.rollbackTx(inner);
      await db.$transaction(() => db.create(note, { id: '3' }));
      await db.commitTx(outer);
      expect((await db.find(note, {}, { sort: { id: 1 } })).map(({ id }) => id)).toEqual(['1', '3']);
    });
  } else {
    test('a transaction within one is part of it, and its failure is that of the whole', async () => {
      await db.$transaction(async () => {
        await db.create(note, { id: '1' });
        await db.$transaction((tx) => tx.create(note, { id: '2' }));
      });
      const whole = db.$transaction(async () => {
        await db.create(note, { id: '3' });
        await db.$transaction(() => Promise.reject(new Error('a part'))).catch(() => undefined);
        await expect(db.create(note, { id: '4' })).rejects.toMatchObject({ code: 'ERR_TRANSACTION' });
      });
      await expect(whole).rejects.toMatchObject({ code: 'ERR_TRANSACTION' });
      expect(await db.count(note)).toBe(2);
    });
  }

  if (dialect !== 'mongodb') {
    test('within a transaction another one is a savepoint', async () => {
      await db.$transaction(async (tx) => {
        await tx.create(note, { id: '1' });
        const inner = tx.$transaction(async (savepoint) => {
          await savepoint.create(note, { id: '2' });
          throw new Error('only the inner one');
        });
        await expect(inner).rejects.toThrow('only the inner one');
      });
      expect((await db.find(note)).map(({ id }) => id)).toEqual(['1']);
    });

    test('savepoints that are begun at once keep nothing of each other, and may lie within each other', async () => {
      const within = (tx: IDialect, id: string, fails: boolean) =>
        tx.$transaction(async (savepoint) => {
          await savepoint.create(note, { id });
          // Begun on the transaction around it, and yet a part of this one.
          await tx.$transaction((inner) => inner.create(note, { id: `${id} within` }));
          if (fails) throw new Error('only this one');
        });
      await db.$transaction(async (tx) => {
        const outcomes = await Promise.allSettled(['1', '2', '3', '4', '5'].map((id, index) => within(tx, id, index % 2 === 0)));
        expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected']);
      });
      expect((await db.find(note, {}, { sort: { id: 1 } })).map(({ id }) => id)).toEqual(['2', '2 within', '4', '4 within']);
    });
  } else {
    test('savepoints do not exist, which is said', async () => {
      await db.$transaction(async (tx) => {
        await expect(tx.beginTx()).rejects.toMatchObject({ kind: 'Unsupported' });
      });
    });

    test('a transaction that is begun on another one is part of it', async () => {
      await db.$transaction(async (tx) => {
        await tx.$transaction((part) => part.create(counter, { id: '1', a: 0 }));
        await tx.update(counter, '1', { $set: { title: 'changed' }, $inc: { a: 2 } });
      });
      expect(await db.findById(counter, '1')).toMatchObject({ title: 'changed', a: 2 });
    });
  }

  test('disconnecting within a transaction undoes it, and does not wait for it', async () => {
    const other = await database.connect([note, counter]);
    const work = other.$transaction(async (tx) => {
      await tx.create(note, { id: '1' });
      await other.disconnect();
    });
    await expect(work).rejects.toMatchObject({ name: 'ReplicaverseError' });
    const byHand = await database.connect([note, counter]);
    await (await byHand.beginTx()).create(note, { id: '2' });
    await byHand.disconnect();
  });

  test('operators that come at once to one row all take effect', async () => {
    await db.create(counter, { id: '1', a: 0, b: 0 });
    const times = Array.from({ length: 12 }, () => db.update(counter, '1', { $inc: { a: 1, b: 2 } }));
    await Promise.all(times);
    expect(await db.findById(counter, '1')).toMatchObject({ a: 12, b: 24 });
  });

  test('a write whose filter holds what is undefined is refused, and changes nothing', async () => {
    await db.create(note, { id: '1', title: 'kept' });
    const filters = [{ title: undefined }, { title: { $gt: undefined } }, { $or: [{ title: 'other' }, { pinned: undefined }] }];
    for (const filter of filters as unknown as DalFilter[]) {
      for (const write of [db.deleteMany(note, filter), db.updateMany(note, filter, { title: 'x' }), db.updateMany(note, filter, { $set: { title: 'x' } }), db.upsert(note, filter, { title: 'x' })]) {
        await expect(write).rejects.toMatchObject({ kind: 'Filter', message: expect.stringMatching(/^filter\.\S+ is undefined/) });
      }
    }
    expect(await db.find(note)).toMatchObject([{ id: '1', title: 'kept' }]);
  });
});
