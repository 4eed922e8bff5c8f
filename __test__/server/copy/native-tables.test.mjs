// Tables that no entity describes: the types of PostgreSQL itself, and dumps that databases and their tools read and write.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { copyData, createIsolatedDialect } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMariadb, startPostgres } from '../../support/index.mjs';

const TABLE = `CREATE TABLE natives (
  a integer, b text, small smallint, big bigint, exact numeric, price numeric(10,2), f4 real, f8 double precision, ok boolean,
  at timestamptz, plain timestamp, day date, hour time, span interval, doc jsonb, list text[], numbers int[], flags boolean[],
  bytes bytea, u uuid, ip inet, loud text GENERATED ALWAYS AS (upper(b)) STORED, PRIMARY KEY (a, b))`;
const ROWS = `INSERT INTO natives VALUES
  (1, 'x', -32768, 9223372036854775807, 0.123456789012345678901234567890, 12345678.90, 0.1, 0.1, true,
   '2024-02-29 12:34:56.789012+00', '0044-03-15 00:00:00.000001', '2024-02-29', '23:59:59.5', '1 year 2 days 03:04:05',
   '{"n": 12345678901234567890, "t": ""}', '{"", "a,b", NULL, "NULL", "\\"q\\""}', '{1,NULL,-3}', '{t,f}', '\\x00ff10', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.0/8'),
  (1, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (2, E'line\\r\\nbreak "quoted" \\\\N', 0, -1, 1e40, 0, 3.4e38, 5e-324, false, '1066-10-14 00:00:00+00', '9999-12-31 23:59:59',
   '0001-01-01', '00:00', '-00:00:01', '["é😀", null, 1.5]', '{}', '{}', '{}', '\\x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', '::1')`;
const UNUSUAL = `INSERT INTO natives (a, b, f8, f4, exact, at) VALUES (3, 'nan', 'NaN', 'NaN', 'NaN', 'infinity'), (3, 'inf', '-Infinity', 'Infinity', 7, '-infinity')`;
const CONTENT = 'SELECT n::text FROM natives AS n ORDER BY a, b COLLATE "C"';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let postgres;
/** @type {string} */
let folder;
beforeAll(async () => {
  [postgres, folder] = await Promise.all([startPostgres(), mkdtemp(path.join(tmpdir(), 'replicaverse-copy-'))]);
  await postgres.psql(`${TABLE}; ${ROWS};`);
});
afterAll(() => Promise.all([postgres.remove(), rm(folder, { recursive: true, force: true })]));

/**
 * @param {import('replicaverse').CopyEnd} source
 * @param {import('replicaverse').CopyEnd} destination
 */
async function copyAll(source, destination) {
  const result = await copyData({ source, destinations: [destination] });
  expect(result.failures).toEqual([]);
  expect(result.stats.flatMap(({ failures }) => failures)).toEqual([]);
  return result;
}

describe('the types of PostgreSQL', () => {
  it.each(['csv', 'json', 'ndjson', 'sql'])('come back from %s files as they were', async (format) => {
    const target = await postgres.createDatabase(`from_${format}`);
    await postgres.psql(TABLE, `from_${format}`);
    await copyAll(postgres.uri, `${format}:${path.join(folder, format)}`);
    await copyAll(`${format}:${path.join(folder, format)}`, target);
    expect(await postgres.psql(CONTENT, `from_${format}`)).toBe(await postgres.psql(CONTENT));
  });

  it('come back from CSV and SQL with NaN and the infinities, which JSON reports that it lacks', async () => {
    const source = await postgres.createDatabase('unusual');
    await postgres.psql(`${TABLE}; ${UNUSUAL};`, 'unusual');
    for (const format of ['csv', 'sql']) {
      const target = await postgres.createDatabase(`unusual_${format}`);
      await postgres.psql(TABLE, `unusual_${format}`);
      await copyAll(source, path.join(folder, `unusual.${format}`));
      const result = await copyData({ source: path.join(folder, `unusual.${format}`), destinations: [target], entities: ['natives'] });
      expect(result.totalErrors).toBe(0);
      expect(await postgres.psql(CONTENT, `unusual_${format}`)).toBe(await postgres.psql(CONTENT, 'unusual'));
    }
    const { stats } = await copyAll(source, path.join(folder, 'unusual.json'));
    expect(stats[0]?.conversions.map(({ field }) => field).sort()).toEqual(['f4', 'f8']);
  });

  it('stand in a dump that PostgreSQL runs', async () => {
    const file = path.join(folder, 'own.sql');
    await copyAll(postgres.uri, file);
    await postgres.createDatabase('dumped');
    await postgres.psql(await readFile(file, 'utf8'), 'dumped');
    const question = 'SELECT a, b, big, exact, at, day, bytes, doc, list FROM natives ORDER BY a, b COLLATE "C"';
    const lists = (/** @type {string} */ text) => text.split('|').at(-1);
    const [own, dumped] = [await postgres.psql(question), await postgres.psql(question, 'dumped')];
    expect(dumped.split('\n')[1]?.split('|').slice(0, -1)).toEqual(own.split('\n')[1]?.split('|').slice(0, -1));
    expect(lists(dumped)).toBe('[]');
  });
});

describe('MariaDB', () => {
  /** @type {Awaited<ReturnType<typeof startMariadb>>} */
  let mariadb;
  beforeAll(async () => {
    mariadb = await startMariadb();
  });
  afterAll(() => mariadb.remove());

  it('runs a dump in its syntax', async () => {
    await postgres.createDatabase('for_mariadb');
    await postgres.psql(
      `CREATE TABLE "it""em\`s" (id integer PRIMARY KEY, text text, ok boolean, bytes bytea, at timestamptz, doc jsonb, price numeric(10,2));
       INSERT INTO "it""em\`s" VALUES (1, E'it''s \\\\n "x"\\n\\t', true, '\\x00ff27', '2024-02-29 12:34:56.789012+00', '{"a": "\\\\ ''"}', 1.50), (2, '', false, '', NULL, NULL, NULL)`,
      'for_mariadb',
    );
    const file = path.join(folder, 'mariadb.sql');
    const source = postgres.uri.replace(/\/[^/?]*(\?|$)/, '/for_mariadb$1');
    await copyAll(source, { format: 'sql', path: file, dialect: 'mariadb' });
    await mariadb.sql(await readFile(file, 'utf8'));
    const rows = await mariadb.sql('SELECT id, hex(text), ok, hex(bytes), at, json_extract(doc, \'$.a\'), price FROM `it"em``s` ORDER BY id');
    expect(rows.split('\n')).toEqual([
      `1\t${Buffer.from('it\'s \\n "x"\n\t').toString('hex').toUpperCase()}\t1\t00FF27\t2024-02-29 12:34:56.789012\t"\\\\\\\\ '"\t1.50`,
      '2\t\t0\t\tNULL\tNULL\tNULL',
    ]);
  });
});

describe('dumps of other programs', () => {
  it('of mysqldump are read', async () => {
    const file = path.join(folder, 'mysqldump.sql');
    await writeFile(file, String.raw`-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS ${'`users`'};
CREATE TABLE ${'`users`'} (
  ${'`id`'} int unsigned NOT NULL AUTO_INCREMENT,
  ${'`name`'} varchar(255) COLLATE utf8mb4_unicode_ci DEFAULT NULL COMMENT 'it''s; a "name"',
  ${'`ok`'} tinyint(1) NOT NULL DEFAULT '1',
  ${'`at`'} datetime(3) DEFAULT NULL,
  ${'`raw`'} longblob,
  PRIMARY KEY (${'`id`'}),
  KEY ${'`by_name`'} (${'`name`'}(10))
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4;
LOCK TABLES ${'`users`'} WRITE;
/*!40000 ALTER TABLE ${'`users`'} DISABLE KEYS */;
INSERT INTO ${'`users`'} VALUES (1,'O\'Hara \"x\" \\ \n',1,'2024-02-29 12:34:56.789',0x00FF),(2,'',0,NULL,NULL),(3,NULL,1,'1970-01-01 00:00:00.000',_binary 'ab');
UNLOCK TABLES;
`);
    const target = path.join(folder, 'mysqldump.db');
    const { notes } = await copyAll(file, target);
    expect(notes[0]).toMatch(/^\d+ statements that bring no rows were passed over$/);
    const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: target });
    const rows = await dialect.executeQuery('SELECT id, name, ok, at, hex(raw) AS raw FROM users ORDER BY id');
    await dialect.disconnect();
    expect(rows).toEqual([
      { id: 1, name: 'O\'Hara "x" \\ \n', ok: 1, at: '2024-02-29T12:34:56.789Z', raw: '00FF' },
      { id: 2, name: '', ok: 0, at: null, raw: '' },
      { id: 3, name: null, ok: 1, at: '1970-01-01T00:00:00.000Z', raw: '6162' },
    ]);
  });

  it('of pg_dump are read, with their COPY blocks and keys that are added later', async () => {
    const file = path.join(folder, 'pg_dump.sql');
    const tab = '\t';
    await writeFile(file, String.raw`--
-- PostgreSQL database dump
--
\restrict abc
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS $_$ SELECT 1; $_$;
CREATE TABLE public.orders (
    id bigint NOT NULL,
    tags text[] DEFAULT '{}'::text[],
    note text,
    at timestamp with time zone DEFAULT now(),
    raw bytea
);
COPY public.orders (id, tags, note, at, raw) FROM stdin;
9007199254740993${tab}{a,"b,c",NULL}${tab}two\nlines\\t${tab}2024-02-29 12:34:56.789012+00${tab}\\x00ff
2${tab}{}${tab}${tab}\N${tab}\N
\.
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
\unrestrict abc
`);
    const target = await postgres.createDatabase('from_pg_dump');
    await postgres.psql('CREATE TABLE orders (id bigint PRIMARY KEY, tags text[], note text, at timestamptz, raw bytea)', 'from_pg_dump');
    await copyAll(file, target);
    expect(await postgres.psql('SELECT o::text FROM orders AS o ORDER BY id DESC', 'from_pg_dump')).toBe(
      '(9007199254740993,"{a,""b,c"",NULL}","two\nlines\\\\t","2024-02-29 12:34:56.789012+00","\\\\x00ff")\n(2,{},"",,)',
    );
  });
});
