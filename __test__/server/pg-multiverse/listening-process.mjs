// A process that has nothing to do but to wait for a notification, and ends when it has come.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { addressOf } from './clients.mjs';

const db = new PgMultiverse();
await db.initialize({ main: { schemas: ['public'], primary: addressOf(String(process.argv[2])) } });
const client = await db.getConnection();
client.on('notification', ({ payload }) => {
  console.log(`heard ${payload}`);
  client.release();
});
await client.query('LISTEN farewell');
console.log('listening');
