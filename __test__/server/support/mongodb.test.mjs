// The MongoDB replica set as test support starts it.
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningMongo, startMongo } from '../../support/mongodb.mjs';

describe('a replica set', () => {
  /** @type {Awaited<ReturnType<typeof startMongo>>} */
  let server;
  beforeAll(async () => {
    server = await startMongo();
  });
  afterAll(() => server.remove());

  it('accepts a transaction, and aborts one', async () => {
    const client = new MongoClient(server.uri);
    try {
      const items = client.db().collection('item');
      await client.withSession((session) => session.withTransaction(() => items.insertOne({ name: 'kept' }, { session })));
      const session = client.startSession();
      session.startTransaction();
      await items.insertOne({ name: 'dropped' }, { session });
      await session.abortTransaction();
      await session.endSession();
      expect(await items.distinct('name')).toEqual(['kept']);
    } finally {
      await client.close();
    }
  });

  it('reports changes', async () => {
    const client = new MongoClient(server.uri);
    try {
      const items = client.db().collection('watched');
      const changes = items.watch();
      // The cursor opens with its first request, and sees what is written from then on.
      expect(await changes.tryNext()).toBeNull();
      await items.insertOne({ name: 'seen' });
      expect(await changes.next()).toMatchObject({ operationType: 'insert', fullDocument: { name: 'seen' } });
      await changes.close();
    } finally {
      await client.close();
    }
  });

  it('keeps its data over a stop and over a kill, unless it is not ours', async () => {
    if (server instanceof RunningMongo) {
      await expect(server.kill()).rejects.toThrow('MONGOD_BINARY');
      return;
    }
    await server.command({ insert: 'survivor', documents: [{ _id: 1 }], writeConcern: { w: 'majority' } }, 'app');
    const { port } = server;
    await server.stop();
    await server.start();
    await server.kill();
    await server.start();
    expect(server.port).toBe(port);
    expect((await server.command({ count: 'survivor' }, 'app')).n).toBe(1);
  });
});

describe('a standalone server', () => {
  it('stores documents without being part of a replica set', async () => {
    const server = await startMongo({ replicaSet: false });
    try {
      await server.command({ insert: 'item', documents: [{ _id: 1 }] }, 'app');
      if (server instanceof RunningMongo) return;
      expect((await server.command({ hello: 1 })).setName).toBeUndefined();
      expect(server.uri).not.toContain('replicaSet');
    } finally {
      await server.remove();
    }
  });
});

describe('a server that was running before', () => {
  it.each([
    ['mongodb://a:1,b:2/?replicaSet=rs0', 'mongodb://a:1,b:2/app?replicaSet=rs0', 'app'],
    ['mongodb://u:p%40@a/shop', 'mongodb://u:p%40@a/shop', 'shop'],
    ['mongodb+srv://cluster.example', 'mongodb+srv://cluster.example/app', 'app'],
  ])('is used with the database its URI names, else with ours: %s', (given, uri, database) => {
    const server = new RunningMongo(given, 'app');
    expect(server.uri).toBe(uri);
    expect(server.database).toBe(database);
  });
});
