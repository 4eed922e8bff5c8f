// Asks one query, and has nothing more to do; prints that it was answered. Fails if the process then lives on.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { addressOf } from './clients.mjs';

/** Milliseconds that a process may live on; it needs far fewer, but this machine may be busy. */
const LONG = 2000;

const [uri = '', ending] = process.argv.slice(2);
const db = new PgMultiverse();
await db.initialize({ main: { primary: addressOf(uri) } });
// Nothing but the query holds the process here.
await db.query('SELECT pg_sleep(0.2)');
console.log('answered');
if (ending === 'close') await db.close();
const end = performance.now();
process.on('exit', () => {
  if (performance.now() - end > LONG) process.exitCode = 3;
});
