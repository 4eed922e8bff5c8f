// A worker thread that uses the addon and leaves in one way or another.
import { workerData } from 'node:worker_threads';
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { addressOf } from './clients.mjs';

const db = new PgMultiverse();
await db.initialize({ main: { primary: addressOf(workerData.uri), connectionPool: { min: 1, max: 2 } } });
await db.query('SELECT $1::int', [1]);
if (workerData.leaves === 'close') await db.close();
if (workerData.leaves === 'midway') {
  // A server notices a client that has left when the statement ends.
  db.query('SELECT pg_sleep(3)').catch(() => undefined);
  setTimeout(() => process.exit(0), 20);
}
if (workerData.leaves === 'exit') process.exit(0);
