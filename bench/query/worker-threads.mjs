// `npm run bench:workers`: many worker threads load the addon, query and leave, one after the other; prints what memory does.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { startPostgres } from '../../__test__/support/index.mjs';

const PROGRAM = fileURLToPath(new URL('../../__test__/server/pg-multiverse/worker.mjs', import.meta.url));
/** The ways in which a worker leaves. */
const WAYS = ['close', 'forget', 'midway', 'exit'];
const SHOWN_EVERY = 100;

const { values } = parseArgs({ options: { workers: { type: 'string', default: '1000' } } });
const undo = createUndo();
undoWhenInterrupted(undo);
try {
  await prepare({ log: (message) => console.error(message), profile: 'release' });
  const server = await startPostgres();
  undo.add(() => server.remove());
  for (let done = 0; done <= Number(values.workers); done += 1) {
    if (done % SHOWN_EVERY === 0) console.log(`${done} workers: ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MB resident`);
    const worker = new Worker(PROGRAM, { workerData: { uri: server.uri, leaves: WAYS[done % WAYS.length] } });
    const code = await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
    if (code !== 0) throw new Error(`worker ${done} ended with ${code}`);
  }
} finally {
  await undo.run();
}
