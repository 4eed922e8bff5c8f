// Reporting: orders that an application keeps as documents in MongoDB become rows of PostgreSQL, where SQL adds them up.
//
//   node examples/replication/reporting.mjs mongodb://host/orders?replicaSet=rs0 postgres://user@host/reports
import { ReplicationManager } from 'replicaverse';

const [, , ordersUri, reportsUri] = process.argv;
if (ordersUri === undefined || reportsUri === undefined) {
  console.error('usage: node reporting.mjs <URI of MongoDB> <URI of PostgreSQL>');
  process.exit(2);
}

const ORDERS = [
  { _id: 'a1', customer: 'Anna', total: 20.5, state: 'paid', lines: [{ sku: 'kettle', count: 1 }] },
  { _id: 'b2', customer: 'Bert', total: 7, state: 'open', lines: [{ sku: 'cup', count: 2 }] },
  { _id: 'c3', customer: 'Anna', total: 9.5, state: 'paid', lines: [], gift: true },
];
const REPORT = 'SELECT customer, count(*) AS orders, sum(total) AS total FROM paid_orders GROUP BY customer ORDER BY customer';

const manager = new ReplicationManager();
await manager.addReplica('app', { name: 'main', role: 'master', dialect: 'mongodb', uri: ordersUri });
await manager.addReplica('reports', { name: 'main', role: 'master', dialect: 'postgres', uri: reportsUri });
const app = manager.resolveWriteService('app')?.dialect;
const reports = manager.resolveWriteService('reports')?.dialect;
await app?.executeRun(
  JSON.stringify({ update: 'orders', updates: ORDERS.map(({ _id, ...order }) => ({ q: { _id }, u: { $set: order }, upsert: true })) }),
);

manager.addReplicationRule({
  name: 'reporting',
  source: 'app',
  target: 'reports',
  mode: 'cdc',
  collections: ['orders'],
  rename: { orders: 'paid_orders' },
  where: { state: 'paid' },
  extraFields: 'column', // fields that orders come to have later are kept together, as JSON
});

await manager.sync('reporting');
console.table(await reports?.executeQuery(REPORT));
await app?.executeRun(JSON.stringify({ update: 'orders', updates: [{ q: { _id: 'b2' }, u: { $set: { state: 'paid' } } }] }));
// An application would call `start` once; the report is then behind by milliseconds.
await manager.sync('reporting');
console.table(await reports?.executeQuery(REPORT));
manager.removeReplicationRule('reporting');
await manager.disconnectAll();
