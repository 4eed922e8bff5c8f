// The command mostajs-copy: what it prints, its exit codes, and that it shows no password.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createIsolatedDialect } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres } from '../../support/index.mjs';

const COMMAND = fileURLToPath(new URL('../../../dist/cli/copy.js', import.meta.url));
const PASSWORD = 'pa55-never:sh@wn';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let postgres;
/** @type {string} */
let folder;
beforeAll(async () => {
  postgres = await startPostgres({ password: PASSWORD });
});
afterAll(() => postgres.remove());
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mostajs-copy-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** @param {readonly string[]} args */
function start(args) {
  const child = spawn(process.execPath, [COMMAND, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text));
  /** @type {Promise<{ code: number | null, stdout: string, stderr: string }>} */
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      expect(output.stdout + output.stderr).not.toContain('pa55');
      resolve({ code, ...output });
    });
  });
  return { child, ended };
}

/** @param {readonly string[]} args */
const run = (args) => start(args).ended;

/** @param {string} name @param {string} text */
const file = (name, text) => writeFile(path.join(folder, name), text);

/** @param {string} name @param {string} sql */
async function query(name, sql) {
  const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: path.join(folder, name), schemaStrategy: 'none' });
  try {
    return await dialect.executeQuery(sql);
  } finally {
    await dialect.disconnect();
  }
}

describe('mostajs-copy', () => {
  it('copies a file to a database and on to other files', async () => {
    await file('cities.csv', 'id;name;people\n1;Köln;1073096\n2;"a;b";\n');
    const first = await run(['--from', 'cities.csv', '--delimiter', ';', '--to', postgres.uri, '--to', 'cities.db']);
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/cities: 2 read, 2 created, 0 updated, 0 skipped, 0 errors/);
    expect(first.stdout.trim().split('\n').at(-1)).toMatch(/^✓ Done: 4 rows to 2 destination\(s\) in \d+\.\d s \(0 errors\)$/);
    expect(await postgres.psql('SELECT id, name, people FROM cities ORDER BY id')).toBe('1|Köln|1073096\n2|a;b|');

    const second = await run(['--from', postgres.uri, '--to', 'json:out', '--entities', 'cities', '--quiet']);
    expect(second).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(JSON.parse(await readFile(path.join(folder, 'out/cities.json'), 'utf8'))).toEqual([
      { id: 1, name: 'Köln', people: 1073096 },
      { id: 2, name: 'a;b', people: null },
    ]);
  });

  it('gives rows the types of the schemas that are named', async () => {
    await file('schemas.json', JSON.stringify([{ name: 'City', collection: 'cities', fields: { code: { type: 'string' }, founded: { type: 'date' } } }]));
    await file('City.csv', 'id,code,founded\n1,7,0050-07-08\n');
    const { code } = await run(['--from', 'City.csv', '--to', 'typed.db', '--schemas', 'schemas.json']);
    expect(code).toBe(0);
    expect(await query('typed.db', 'SELECT * FROM cities')).toEqual([{ id: '1', code: '7', founded: '0050-07-08T00:00:00.000Z' }]);
  });

  it('says what was not copied and ends with 1, though the rest is', async () => {
    await file('schemas.json', JSON.stringify([{ name: 'Item', collection: 'items', fields: { n: { type: 'number' } } }]));
    await file('items.csv', 'id,n\n1,1\n2,two\n');
    const unreachable = `postgres://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:1/app`;
    const { code, stderr } = await run(['--from', 'items.csv', '--to', unreachable, '--to', 'items.db', '--entities', 'Item', '--schemas', 'schemas.json']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/✗ Item 2: column "n": /);
    expect(stderr).toMatch(/✗ postgres:\/\/app:\*\*\*@127\.0\.0\.1:1\/app: /);
    expect(await query('items.db', 'SELECT id, n FROM items')).toEqual([{ id: '1', n: 1 }]);
  });

  it('names the file and the line of what is malformed', async () => {
    await file('broken.json', '[{"id":1},\n{"id":}]');
    const { code, stderr } = await run(['--from', 'broken.json', '--to', 'out.db']);
    expect(code).toBe(1);
    expect(stderr).toContain('broken.json:2: expected value');
  });

  it('needs a key to write to a database, and takes the one that is named', async () => {
    await file('codes.csv', 'code,n\nx,1\ny,2\n');
    const refused = await run(['--from', 'codes.csv', '--to', 'codes.db']);
    expect(refused.stderr).toContain('no column of "codes" is known as its primary key');
    expect(refused.stdout).toContain('✗ Done: 0 rows');
    expect(refused.code).toBe(1);
    const { code } = await run(['--from', 'codes.csv', '--to', 'codes.db', '--key', 'code']);
    expect(code).toBe(0);
    expect(await query('codes.db', 'SELECT * FROM codes')).toEqual([{ code: 'x', n: 1 }, { code: 'y', n: 2 }]);
  });

  it('goes on when nobody reads what it prints', async () => {
    await file('a.csv', 'id\n1\n');
    const { child, ended } = start(['--from', 'a.csv', '--to', 'a.db']);
    child.stdout.destroy();
    expect((await ended).code).toBe(0);
    expect(await query('a.db', 'SELECT * FROM a')).toEqual([{ id: 1 }]);
  });

  it('writes nothing in a dry run', async () => {
    await file('a.csv', 'id\n1\n');
    const { code, stdout } = await run(['--from', 'a.csv', '--to', 'a.json', '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Dry run: nothing was written/);
    expect(existsSync(path.join(folder, 'a.json'))).toBe(false);
  });

  it.each([
    [[], '--from: a source is required'],
    [['--from', 'a.csv'], '--to: at least one destination is required'],
    [['--from', 'a.csv', '--to', 'x.db', '--batch', '0'], 'Expected a whole number from 1'],
    [['--from', 'a.csv', '--to', 'x.db', '--colour'], "unknown option '--colour'"],
    [['--from', 'a.csv', '--to', 'x.db', '--existing', 'burn'], 'Allowed choices are overwrite, skip, newer'],
    [['--commandFile', 'nowhere.txt'], 'Command file not found: nowhere.txt'],
  ])('ends with 2 for the arguments %j', async (args, message) => {
    const { code, stderr } = await run(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('refuses an end of no known kind without showing its password', async () => {
    const { code, stderr } = await run(['--from', `oracle://app:${PASSWORD}@db/app`, '--to', 'x.db']);
    expect(stderr).toContain('oracle://app:***@db/app');
    expect(code).toBe(2);
  });

  it('understands the flags and command files of the original', async () => {
    await file('a.csv', 'id,name\n1,one\n');
    await file('copy.txt', '# from CSV\n--source csv --source-file a.csv\n--dest db --dest-dialect sqlite --dest-uri "with space.db" # comment\n--batch-size 10\n');
    const { code, stderr } = await run(['--commandFile', 'copy.txt', '--dest', 'json', '--dest-file', 'a.json']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(await query('with space.db', 'SELECT * FROM a')).toEqual([{ id: 1, name: 'one' }]);
    expect(JSON.parse(await readFile(path.join(folder, 'a.json'), 'utf8'))).toEqual({ entities: { a: [{ id: 1, name: 'one' }] } });
  });

  it('ends cleanly when it is interrupted: whole batches are there, and no file is half written', async () => {
    const rows = Array.from({ length: 400_000 }, (_, index) => `${index},${'x'.repeat(60)}\n`).join('');
    await file('many.csv', `id,text\n${rows}`);
    const { child, ended } = start(['--from', 'many.csv', '--to', 'many.db', '--to', 'many.json', '--batch', '200']);
    const deadline = Date.now() + 30_000;
    /** @type {() => Promise<number>} */
    const copied = async () => Number((await query('many.db', 'SELECT count(*) AS n FROM many').catch(() => [{ n: 0 }]))[0]?.['n']);
    while ((await copied()) === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    const told = Number(/Interrupted: (\d+) rows were copied/.exec(stderr)?.[1]);
    expect(await copied()).toBe(told);
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(400_000);
    expect(existsSync(path.join(folder, 'many.json'))).toBe(false);
  });
});
