// One source to many destinations: rows that exist, destinations that fail, dry runs and stops.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { copyData, createIsolatedDialect, EntityService } from 'replicaverse';
import type { CopyProgress, EntityDeclaration } from 'replicaverse';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const USER: EntityDeclaration = {
  name: 'User',
  collection: 'users',
  fields: { name: { type: 'string', required: true }, age: { type: 'number' } },
  timestamps: true,
};
const schemas = [USER];

let folder: string;
const opened: EntityService[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-copy-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((service) => service.dialect.disconnect()));
  await rm(folder, { recursive: true, force: true });
});

async function database(name: string): Promise<EntityService> {
  const dialect = await createIsolatedDialect({ dialect: 'sqlite', uri: join(folder, `${name}.db`) }, schemas);
  const service = new EntityService(dialect, schemas);
  opened.push(service);
  return service;
}

async function csv(rows: string): Promise<string> {
  const path = join(folder, 'users.csv');
  await writeFile(path, `id,name,age\n${rows}`);
  return path;
}

const names = async (service: EntityService): Promise<string[]> =>
  (await service.findAll<{ id: string; name: string }>('User', {}, { sort: { id: 1 } })).map(({ id, name }) => `${id} ${name}`);

async function target(): Promise<EntityService> {
  const service = await database('target');
  await service.create('User', { id: '1', name: 'old' });
  await service.create('User', { id: '9', name: 'only here' });
  return service;
}

describe('rows that a destination has', () => {
  it('are overwritten, and those that the source lacks stay', async () => {
    const service = await target();
    const result = await copyData({ source: await csv('1,new,\n2,two,\n'), destinations: [service], entities: ['User'], schemas });
    expect(result.stats[0]).toMatchObject({ created: 1, updated: 1, copied: 2, errors: 0 });
    expect(await names(service)).toEqual(['1 new', '2 two', '9 only here']);
  });

  it('stay when asked for', async () => {
    const service = await target();
    const result = await copyData({ source: await csv('1,new,\n2,two,\n'), destinations: [service], entities: ['User'], schemas, existing: 'skip' });
    expect(result.stats[0]).toMatchObject({ created: 1, updated: 0, skipped: 1 });
    expect(await names(service)).toEqual(['1 old', '2 two', '9 only here']);
  });

  it('stay when they are newer than those of the source', async () => {
    const service = await database('target');
    await service.create('User', { id: '1', name: 'older', updatedAt: new Date('2020-01-01') });
    await service.create('User', { id: '2', name: 'newer', updatedAt: new Date('2030-01-01') });
    const source = join(folder, 'users.csv');
    await writeFile(source, 'id,name,updatedAt\n1,source,2025-01-01T00:00:00.000Z\n2,source,2025-01-01T00:00:00.000Z\n');
    await copyData({ source, destinations: [service], entities: ['User'], schemas, existing: 'newer' });
    expect(await names(service)).toEqual(['1 source', '2 newer']);
  });

  it('go when the tables are to be emptied', async () => {
    const service = await target();
    const result = await copyData({ source: await csv('1,new,\n'), destinations: [service], entities: ['User'], schemas, truncate: true });
    expect(result.stats[0]).toMatchObject({ deleted: 2, created: 1, updated: 0 });
    expect(await names(service)).toEqual(['1 new']);
  });
});

it('emptying the source itself is refused', async () => {
  const service = await target();
  const onto = copyData({ source: service, destinations: [service], schemas, truncate: true });
  await expect(onto).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  expect(await service.count('User')).toBe(2);
});

it('rows may stand before those that they refer to', async () => {
  const order: EntityDeclaration = {
    name: 'Order', collection: 'orders', fields: { total: { type: 'number' } },
    relations: { user: { type: 'many-to-one', target: 'User', joinColumn: 'userId', required: true } },
  };
  const path = join(folder, 'shop.json');
  await writeFile(path, JSON.stringify({ Order: [{ id: 'a', total: 1, userId: '1' }], User: [{ id: '1', name: 'one' }] }));
  const target = { dialect: 'sqlite', uri: join(folder, 'shop.db') } as const;
  const { stats } = await copyData({ source: path, destinations: [target], schemas: [order, USER] });
  expect(stats.map(({ entity, copied, errors }) => ({ entity, copied, errors }))).toEqual([
    { entity: 'Order', copied: 1, errors: 0 },
    { entity: 'User', copied: 1, errors: 0 },
  ]);
  const dialect = await createIsolatedDialect(target);
  expect(await dialect.executeQuery('PRAGMA foreign_key_check')).toEqual([]);
  await dialect.disconnect();
});

it('a single list in a JSON file stands under its entity where that is asked for', async () => {
  const source = await csv('1,one,31\n');
  const [asked, typed] = [join(folder, 'asked.json'), join(folder, 'typed.json')];
  const destinations = [{ format: 'json', path: asked, namedLists: true }, { type: 'json', file: typed }] as const;
  await copyData({ source, destinations, entities: ['User'], schemas });
  for (const file of [asked, typed]) {
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ entities: { User: [expect.objectContaining({ id: '1', name: 'one' })] } });
  }
});

describe('a row that does not fit', () => {
  it('is counted and named, and the others are copied', async () => {
    const service = await database('target');
    const source = await csv('1,one,31\n2,,40\n3,three,many\n4,four,44\n');
    const result = await copyData({ source, destinations: [service], entities: ['User'], schemas });
    expect(result.stats[0]).toMatchObject({ read: 4, copied: 2, errors: 2 });
    expect(result.stats[0]?.failures.map(({ key }) => key).sort()).toEqual(['2', '3']);
    expect(result.stats[0]?.failures.find(({ key }) => key === '3')?.reason).toContain('age');
    expect(result.totalErrors).toBe(2);
    expect(await names(service)).toEqual(['1 one', '4 four']);
  });
});

describe('a malformed file', () => {
  it.each([
    ['csv', 'id,name\n1,a\n2\n', ':3: 1 cells, where the header has 2'],
    ['csv', 'id,name\n1,"a\n2,b\n', ':2: a cell begins with a quote that is not closed'],
    ['json', '[{"id":"1"},\n{"id":]', ':2: expected value'],
    ['ndjson', '{"id":"1"}\nnope\n', ':2: no JSON'],
    ['sql', "CREATE TABLE users (id TEXT, name TEXT);\nINSERT INTO users VALUES ('1', 'a'),\n('2');\n", ':3: 1 values for 2 columns'],
  ])('in %s is named with its line, and nothing of it is half written', async (format, text, place) => {
    const path = join(folder, `broken.${format}`);
    await writeFile(path, text);
    const service = await database('target');
    const written = join(folder, 'out.json');
    const result = await copyData({ source: path, destinations: [service, written], entities: ['users'] }).catch((error: unknown) => error);
    if (result instanceof Error) {
      expect(result).toMatchObject({ code: 'ERR_FORMAT', kind: 'Format' });
      expect(result.message).toContain(`broken.${format}${place}`);
    } else {
      const failures = (result as Awaited<ReturnType<typeof copyData>>).stats.flatMap((stats) => stats.failures);
      expect(failures.map(({ reason }) => reason).join('\n')).toContain(`broken.${format}${place}`);
    }
    await expect(stat(written)).rejects.toThrow('ENOENT');
  });

  it('that is not there is an error of its own', async () => {
    const missing = copyData({ source: join(folder, 'missing.csv'), destinations: [join(folder, 'out.json')] });
    await expect(missing).rejects.toMatchObject({ code: 'ERR_FILE', kind: 'File' });
  });
});

describe('a destination that fails', () => {
  it('is reported, and the others are filled', async () => {
    const service = await database('target');
    const unreachable = 'postgres://app:pa55word@127.0.0.1:1/app';
    const source = await csv('1,one,\n');
    const result = await copyData({ source, destinations: [unreachable, service, '/dev/null/x/out.json'], entities: ['User'], schemas });
    expect(result.failures.map(({ code }) => code)[0]).toBe('ERR_CONNECTION');
    expect(result.totalErrors).toBeGreaterThanOrEqual(2);
    expect(await names(service)).toEqual(['1 one']);
    expect(JSON.stringify(result)).not.toContain('pa55word');
  });

  it('leaves the file that stood in its place', async () => {
    const source = join(folder, 'broken.csv');
    await writeFile(source, 'id,name\n1,a\n2\n');
    const path = join(folder, 'kept.csv');
    await writeFile(path, 'before');
    const result = await copyData({ source, destinations: [path], entities: ['broken'] });
    expect(result.totalErrors).toBeGreaterThan(0);
    expect(await readFile(path, 'utf8')).toBe('before');
  });
});

it('tables that a destination lacks are errors when none may be made', async () => {
  const target = { dialect: 'sqlite', uri: join(folder, 'empty.db') } as const;
  const result = await copyData({ source: await csv('1,one,\n'), destinations: [target], createTables: false });
  expect(result.stats[0]?.failures[0]?.reason).toContain('does not exist at the target');
  expect(result.totalErrors).toBe(1);
});

it('a dry run reads everything, says what does not fit, and writes nothing', async () => {
  const target = { dialect: 'sqlite', uri: join(folder, 'dry.db') } as const;
  const out = join(folder, 'dry.json');
  const result = await copyData({ source: await csv('1,one,x\n2,two,7\n'), destinations: [target, out], entities: ['User'], schemas, dryRun: true });
  expect(result.stats.map(({ read, copied, errors }) => ({ read, copied, errors }))).toEqual([
    { read: 2, copied: 0, errors: 1 },
    { read: 2, copied: 0, errors: 1 },
  ]);
  await expect(stat(out)).rejects.toThrow('ENOENT');
  const dialect = await createIsolatedDialect(target);
  expect(await dialect.executeQuery("SELECT name FROM sqlite_master WHERE type = 'table'")).toEqual([]);
  await dialect.disconnect();
});

it('types that nothing declares are found from the values, and told', async () => {
  const path = join(folder, 'measurements.csv');
  await writeFile(path, 'id,code,value,seen\n1,007,1.5,2024-01-01T00:00:00.000Z\n2,12,2,2024-01-02T00:00:00.000Z\n');
  const out = join(folder, 'out.json');
  const result = await copyData({ source: path, destinations: [out] });
  expect(result.notes).toEqual(['measurements: types found from the values: id integer, code text, value number, seen date']);
  expect(JSON.parse(await readFile(out, 'utf8'))).toEqual([
    { id: 1, code: '007', value: 1.5, seen: '2024-01-01T00:00:00.000Z' },
    { id: 2, code: '12', value: 2, seen: '2024-01-02T00:00:00.000Z' },
  ]);
});

it('a hundred thousand rows go through in batches, with progress, and a stop ends them cleanly', async () => {
  const rows = Array.from({ length: 100_000 }, (_, index) => `${index},user ${index},${index % 90}\n`).join('');
  const source = await csv(rows);
  const service = await database('target');
  const steps: CopyProgress[] = [];
  const whole = await copyData({ source, destinations: [service], entities: ['User'], schemas, batchSize: 1000, onProgress: (step) => steps.push(step) });
  expect(whole).toMatchObject({ totalCopied: 100_000, totalErrors: 0, stopped: false });
  expect(steps.length).toBeGreaterThan(90);
  expect(steps.at(-1)).toMatchObject({ entity: 'User', rows: 100_000, done: true });

  const stop = new AbortController();
  const partly = await database('partly');
  const result = await copyData({
    source, destinations: [partly], entities: ['User'], schemas, batchSize: 100, signal: stop.signal,
    onProgress: ({ rows: done }) => { if (done >= 1000) stop.abort(); },
  });
  expect(result.stopped).toBe(true);
  expect(result.totalCopied).toBeGreaterThanOrEqual(1000);
  expect(result.totalCopied).toBeLessThan(100_000);
  expect(await partly.count('User')).toBe(result.totalCopied);
});

it('memory does not grow with the file', async () => {
  const peakMegabytes = async (rows: number): Promise<number> => {
    const source = join(folder, `rows-${rows}.csv`);
    const text = 'x'.repeat(600);
    await writeFile(source, `id,text\n${Array.from({ length: rows }, (_, index) => `${index},${text}\n`).join('')}`);
    const program = `
      const { copyData } = require(${JSON.stringify(join(__dirname, '../../../dist/index.js'))});
      const [source, ...destinations] = process.argv.slice(1);
      copyData({ source, destinations }).then(({ totalCopied }) => {
        console.log(JSON.stringify({ totalCopied, peak: process.resourceUsage().maxRSS / 1024 }));
      });`;
    const destinations = [join(folder, `rows-${rows}.db`), join(folder, `rows-${rows}.json`)];
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, source, ...destinations]);
    const { totalCopied, peak } = JSON.parse(stdout) as { totalCopied: number; peak: number };
    expect(totalCopied).toBe(2 * rows);
    return peak;
  };
  // Both fill SQLite's page cache of 16 MB, and one file is 48 MB larger than the other.
  const [little, much] = [await peakMegabytes(40_000), await peakMegabytes(120_000)];
  expect(much - little).toBeLessThan(30);
}, 120_000);

it('a listener that throws ends the copy with its error', async () => {
  const service = await database('target');
  const copy = copyData({
    source: await csv('1,one,\n'), destinations: [service], schemas, entities: ['User'],
    onProgress: () => { throw new Error('enough'); },
  });
  await expect(copy).rejects.toThrow('enough');
});

it('several entities of one document are found by their names', async () => {
  const path = join(folder, 'shop.json');
  await writeFile(path, JSON.stringify({ source: 'x', date: 'y', entities: { User: [{ id: '1', name: 'one', age: 3 }], orders: [{ id: 7, total: 1.25 }] } }));
  const service = await database('target');
  const result = await copyData({ source: path, destinations: [service], schemas });
  expect(result.totalErrors).toBe(0);
  expect(await names(service)).toEqual(['1 one']);
  expect(await service.dialect.executeQuery('SELECT id, total FROM orders')).toEqual([{ id: 7, total: 1.25 }]);
});
