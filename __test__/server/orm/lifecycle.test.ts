// What a dialect leaves behind: the process exits, connections close, worker threads come and go.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DIALECTS, startDatabase } from './databases.js';
import type { Database } from './databases.js';

const ROOT = resolve(__dirname, '../../..');
/** A process still alive after this is kept alive by the addon. */
const EXIT_DEADLINE_MS = 30_000;

const run = promisify(execFile);

/** Runs a script in a Node.js process of its own and gives the lines that it printed. */
async function printedBy(script: string, ...flags: string[]): Promise<string[]> {
  const args = [...flags, '--input-type=commonjs', '--eval', script];
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, timeout: EXIT_DEADLINE_MS });
  return stdout.trim().split('\n');
}

const PREAMBLE = `
  const { createIsolatedDialect } = require('replicaverse');
  const note = { name: 'Note', fields: { n: { type: 'number' } } };`;

describe('a process with worker threads', () => {
  let folder: string;
  let config: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'replicaverse-'));
    config = JSON.stringify({ dialect: 'sqlite', uri: join(folder, 'app.db') });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('uses dialects in them, and they end by themselves', async () => {
    const worker = `${PREAMBLE}
      createIsolatedDialect(${config}, [note]).then(async (db) => {
        const count = await db.count(note, { n: { $lt: 0 } });
        await db.disconnect();
        require('node:worker_threads').parentPort.postMessage(count);
      });`;
    const script = `
      const { Worker } = require('node:worker_threads');
      for (let i = 0; i < 3; i++) {
        const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
        worker.on('message', (count) => console.log(count));
        worker.on('exit', (code) => console.log('exit ' + code));
      }`;
    expect((await printedBy(script)).sort()).toEqual(['0', '0', '0', 'exit 0', 'exit 0', 'exit 0']);
  });

  test('survives that they are terminated in the midst of their work', async () => {
    const worker = `${PREAMBLE}
      createIsolatedDialect({ ...${config}, showSql: true }, [note]).then(async (db) => {
        require('node:worker_threads').parentPort.postMessage('started');
        for (;;) await Promise.all(Array.from({ length: 20 }, () => db.count(note)));
      });`;
    const script = `${PREAMBLE}
      const { Worker } = require('node:worker_threads');
      const once = (worker, event) => new Promise((settle) => worker.once(event, settle));
      (async () => {
        for (let round = 0; round < 3; round++) {
          const worker = new Worker(${JSON.stringify(worker)}, { eval: true, stdout: true });
          worker.stdout.resume();
          await once(worker, 'message');
          await worker.terminate();
        }
        const db = await createIsolatedDialect(${config}, [note]);
        await db.create(note, { n: 2 });
        await db.disconnect();
        console.log('alive');
      })();`;
    expect(await printedBy(script)).toEqual(['alive']);
  });
});

describe.each(DIALECTS)('a process with a connection to %s', (dialect) => {
  let database: Database;
  let config: string;

  beforeAll(async () => {
    database = await startDatabase(dialect);
    config = JSON.stringify({ dialect, uri: database.uri });
  });
  afterAll(() => database?.stop());

  test('exits by itself after disconnect', async () => {
    const script = `${PREAMBLE}
      createIsolatedDialect(${config}, [note]).then(async (db) => {
        await db.create(note, { n: 1 });
        await db.disconnect();
        console.log('done');
      });`;
    expect(await printedBy(script)).toEqual(['done']);
  });

  test('exits by itself, and cleanly, while it is open and in a transaction', async () => {
    const script = `${PREAMBLE}
      createIsolatedDialect(${config}, [note]).then(async (db) => {
        globalThis.open = [db, await db.beginTx()];
        await open[1].create(note, { n: 1 });
        console.log('open');
      });`;
    expect(await printedBy(script)).toEqual(['open']);
  });

  test('exits at once when it is told to, also in the midst of work', async () => {
    const script = `${PREAMBLE}
      createIsolatedDialect(${config}, [note]).then(async (db) => {
        for (let i = 0; i < 50; i++) db.find(note).catch(() => undefined);
        console.log('busy');
        process.exit(0);
      });`;
    expect(await printedBy(script)).toEqual(['busy']);
  });
});

describe('a dialect that is forgotten', () => {
  let postgres: Database;

  beforeAll(async () => {
    postgres = await startDatabase('postgres');
  });
  afterAll(() => postgres?.stop());

  test('closes its connections, and its open transaction is rolled back', async () => {
    const config = JSON.stringify({ dialect: 'postgres', uri: postgres.uri });
    const script = `${PREAMBLE}
      const config = ${config};
      const others = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
      const pause = () => new Promise((settle) => setTimeout(settle, 20));
      async function forget() {
        const db = await createIsolatedDialect(config, [note]);
        const tx = await db.beginTx();
        await tx.create(note, { n: 1 });
      }
      (async () => {
        const watcher = await createIsolatedDialect({ ...config, pool: { min: 1, max: 1 } }, [note]);
        await forget();
        const deadline = Date.now() + 10000;
        let open;
        do {
          global.gc();
          await pause();
          [{ n: open }] = await watcher.executeQuery(others);
        } while (open > 0 && Date.now() < deadline);
        console.log(open + ' open, ' + (await watcher.count(note)) + ' rows');
        await watcher.disconnect();
      })();`;
    expect(await printedBy(script, '--expose-gc')).toEqual(['0 open, 0 rows']);
  });
});
