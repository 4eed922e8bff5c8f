// Tables without a registered entity: read from the catalogue, copied with their types and keys.
import { MongoClient } from 'mongodb';
import { ReplicationManager } from 'replicaverse';
import type { IDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import type { Dialect } from './databases.mjs';

let databases: Databases;
let manager: ReplicationManager;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  manager = new ReplicationManager();
});
afterEach(() => manager.disconnectAll());

/** Adds a master without entities, and gives its URI. */
async function master(project: string, dialect: Dialect): Promise<string> {
  const uri = await databases.create(dialect);
  await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri }, []);
  return uri;
}

function rule(source: string, target: string, collections = ['*']): string {
  const name = `${source}-${target}`;
  manager.addReplicationRule({ name, source, target, mode: 'snapshot', collections, conflictResolution: 'source-wins' });
  return name;
}

function sql(project: string): IDialect {
  const service = manager.resolveWriteService(project);
  if (!service) throw new Error(`no master in ${project}`);
  return service.dialect;
}

describe('from PostgreSQL', () => {
  const everyType = `
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE every_type (
      id int PRIMARY KEY, small smallint, big bigint, money numeric(10,2), exact numeric, single real, double float8,
      yes boolean, name text, short varchar(10), uid uuid, at timestamptz, local timestamp, day date, clock time, span interval,
      doc jsonb, plain json, list text[], matrix int[], raw bytea, ip inet, feeling mood,
      doubled int GENERATED ALWAYS AS (small * 2) STORED);
    INSERT INTO every_type VALUES
      (1, -2, 9007199254740993, 19.90, 12345678901234567890.123456789, 0.1, 1e300, true, 'é 😀', 'short',
       'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29 12:34:56.789+00', '2024-02-29 12:34:56.789', '1999-12-31', '23:59:59',
       '1 day 02:00:00', '{"a": [1, 2.5, null]}', '{"b": true}', '{a,NULL,"c,d"}', '{{1,2},{3,4}}', '\\x00ff', '10.0.0.1/8', 'happy'),
      (2, NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL, NULL, NULL)`;

  it('every type becomes what MongoDB has for it', async () => {
    await master('pg', 'postgres');
    const uri = await master('mongo', 'mongodb');
    for (const statement of everyType.split(';\n')) await sql('pg').executeRun(statement);
    expect(await manager.sync(rule('pg', 'mongo'))).toMatchObject({ errors: 0, recordsSynced: 2 });
    const client = await MongoClient.connect(uri, { promoteValues: false, promoteLongs: false });
    const collection = client.db().collection<{ _id: number }>('every_type');
    const pipeline = [{ $match: { _id: 1 } }, { $project: { kinds: { $objectToArray: '$$ROOT' } } }, { $unwind: '$kinds' }, { $project: { _id: 0, k: '$kinds.k', t: { $type: '$kinds.v' } } }];
    const kinds = await client.db().collection('every_type').aggregate(pipeline, { promoteValues: true }).toArray();
    expect(Object.fromEntries(kinds.map(({ k, t }) => [k, t]))).toEqual({
      _id: 'int', small: 'int', big: 'long', money: 'decimal', exact: 'decimal', single: 'double', double: 'double', yes: 'bool',
      name: 'string', short: 'string', uid: 'string', at: 'date', local: 'date', day: 'string', clock: 'string', span: 'string',
      doc: 'object', plain: 'object', list: 'array', matrix: 'array', raw: 'binData', ip: 'string', feeling: 'string', doubled: 'int',
    });
    const row = await collection.findOne({ _id: 1 }, { promoteValues: true, promoteLongs: true });
    expect(row).toMatchObject({
      name: 'é 😀', single: 0.1, double: 1e300, yes: true, day: '1999-12-31', clock: '23:59:59', at: new Date('2024-02-29T12:34:56.789Z'),
      doc: { a: [1, 2.5, null] }, list: ['a', null, 'c,d'], matrix: [[1, 2], [3, 4]], ip: '10.0.0.1/8', feeling: 'happy', doubled: -4,
    });
    expect(String(row?.['money' as never])).toBe('19.90');
    expect(await manager.verify('pg-mongo')).toMatchObject({ equal: true });
    await client.close();
  });

  it.each(['postgres', 'sqlite'] as const)('every type survives on %s, and comes back equal', async (target) => {
    await master('pg', 'postgres');
    await master('copy', target);
    for (const statement of everyType.split(';\n')) await sql('pg').executeRun(statement);
    expect(await manager.sync(rule('pg', 'copy'))).toMatchObject({ errors: 0, recordsSynced: 2 });
    expect(await manager.verify('pg-copy')).toMatchObject({ equal: true });
    const second = await manager.sync('pg-copy');
    expect(second.details).toMatchObject([{ created: 0, updated: 0, deleted: 0, skipped: 2 }]);
  });

  it('microseconds that MongoDB cannot keep are reported, and do not count as a difference', async () => {
    await master('pg', 'postgres');
    await master('mongo', 'mongodb');
    await sql('pg').executeRun('CREATE TABLE t (id int PRIMARY KEY, at timestamptz)');
    await sql('pg').executeRun("INSERT INTO t VALUES (1, '2024-01-01 00:00:00.123456Z'), (2, '2024-01-01 00:00:00.123Z')");
    const { details } = await manager.sync(rule('pg', 'mongo'));
    expect(details).toMatchObject([{ created: 2, conversions: [{ field: 'at', rows: 1 }] }]);
    expect((await manager.sync('pg-mongo')).details).toMatchObject([{ created: 0, updated: 0, skipped: 2 }]);
  });

  it('keys of several columns, odd names and other schemas arrive whole', async () => {
    await master('pg', 'postgres');
    for (const [project, dialect] of [['mongo', 'mongodb'], ['lite', 'sqlite'], ['pg2', 'postgres']] as const) await master(project, dialect);
    await sql('pg').executeRun('CREATE TABLE "Odd ""Name" ("a key" int, b text, "select" text, PRIMARY KEY (b, "a key"))');
    await sql('pg').executeRun(`INSERT INTO "Odd ""Name" VALUES (1, 'x', 'one'), (2, 'x', 'two'), (1, 'y', NULL)`);
    await sql('pg').executeRun('CREATE SCHEMA sales');
    await sql('pg').executeRun('CREATE TABLE sales.deal (id uuid PRIMARY KEY, amount int)');
    await sql('pg').executeRun('INSERT INTO sales.deal VALUES (gen_random_uuid(), 5)');
    for (const target of ['mongo', 'lite', 'pg2']) {
      const stats = await manager.sync(rule('pg', target));
      expect(stats.details.map(({ collection, created, errors }) => [collection, created, errors])).toEqual([['Odd "Name', 3, 0], ['sales.deal', 1, 0]]);
      await sql('pg').executeRun(`UPDATE "Odd ""Name" SET "select" = "select" || '!' WHERE "a key" = 2`);
      expect((await manager.sync(`pg-${target}`)).details).toMatchObject([{ updated: 1, skipped: 2 }, { skipped: 1 }]);
      expect(await manager.verify(`pg-${target}`)).toMatchObject({ equal: true });
    }
  });

  it.each(['postgres', 'sqlite', 'mongodb'] as const)('JSON keeps every digit on %s, also when the row changes', async (target) => {
    await master('pg', 'postgres');
    await master('copy', target);
    await sql('pg').executeRun('CREATE TABLE j (id int PRIMARY KEY, n int, doc jsonb)');
    const documents = ['{"n": 12345678901234567890, "d": [0.12345678901234567891]}', '"text"', '"[1, 2]"', '1.5', '{"big": 1e400}'];
    for (const [id, document] of documents.entries()) await sql('pg').executeRun('INSERT INTO j VALUES ($1, 0, $2)', [id, document]);
    expect(await manager.sync(rule('pg', 'copy'))).toMatchObject({ errors: 0, recordsSynced: 5 });
    await sql('pg').executeRun('UPDATE j SET n = 1');
    expect((await manager.sync('pg-copy')).details).toMatchObject([{ updated: 5, errors: 0 }]);
    expect(await manager.verify('pg-copy')).toMatchObject({ equal: true });
    if (target === 'postgres') {
      const digits = 'SELECT string_agg(doc::text, chr(10) ORDER BY id) AS text FROM j';
      expect(await sql('copy').executeQuery(digits)).toEqual(await sql('pg').executeQuery(digits));
    }
  });

  it("the library's own tables are left out", async () => {
    await master('pg', 'postgres');
    await master('lite', 'sqlite');
    await sql('pg').executeRun('CREATE TABLE replicaverse_checkpoint (id int PRIMARY KEY)');
    await sql('pg').executeRun('CREATE TABLE own (id int PRIMARY KEY)');
    expect((await manager.sync(rule('pg', 'lite'))).details.map(({ collection }) => collection)).toEqual(['own']);
  });
});

describe('from MongoDB', () => {
  it('object ids go to PostgreSQL as text and come back as the object ids they were', async () => {
    const uri = await master('mongo', 'mongodb');
    await master('pg', 'postgres');
    const client = await MongoClient.connect(uri);
    const people = client.db().collection('people');
    await people.insertMany([{ name: 'Ada', age: 36 }, { name: 'Grace', langs: ['cobol'], home: { city: 'New York' } }]);
    expect(await manager.sync(rule('mongo', 'pg'))).toMatchObject({ errors: 0, recordsSynced: 2 });
    manager.addReplicationRule({ name: 'back', source: 'pg', target: 'mongo', mode: 'snapshot', collections: ['people'] });
    await sql('pg').executeRun("UPDATE people SET age = 37 WHERE name = 'Ada'");
    const { details } = await manager.sync('back');
    expect(details).toMatchObject([{ created: 0, deleted: 0, errors: 0 }]);
    const documents = await people.find().toArray();
    expect(documents).toHaveLength(2);
    expect(documents.find(({ name }) => name === 'Ada')).toMatchObject({ age: 37 });
    expect(documents.every(({ _id }) => _id.constructor.name === 'ObjectId')).toBe(true);
    await client.close();
  });

  it('fields that differ from document to document all arrive', async () => {
    const uri = await master('mongo', 'mongodb');
    await master('lite', 'sqlite');
    const client = await MongoClient.connect(uri);
    await client.db().collection<{ _id: string; v?: unknown; w?: unknown }>('mixed').insertMany([
      { _id: 'a', v: 1 }, { _id: 'b', v: 'text' }, { _id: 'c', w: new Date(0) }, { _id: 'd', v: null, w: null },
    ]);
    expect(await manager.sync(rule('mongo', 'lite'))).toMatchObject({ errors: 0, recordsSynced: 4 });
    expect(await manager.verify('mongo-lite')).toMatchObject({ equal: true });
    await client.close();
  });
});
