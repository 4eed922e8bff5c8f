// This library's side of a round, in a process of its own: connects, copies the table once, reports what it took.
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicationManager } from 'replicaverse';
import { peakBytes, residentBytes, startPeak } from './process-memory.mjs';

/** @typedef {import('./databases.mjs').Database} Database */

/**
 * @typedef {object} Measured
 * @property {number} seconds of `sync`
 * @property {number} cpuSeconds of this process meanwhile
 * @property {{idle: number, peak: number} | undefined} memory resident bytes; undefined where the system does not tell
 */

// What connecting left behind settles before memory counts as idle.
const SETTLE_MS = 300;

// The benchmark is gone: nobody waits for the outcome.
process.once('disconnect', () => process.exit(1));
process.once('message', (/** @type {{source: Database, target: Database, table: string}} */ job) => {
  measure(job).then(
    (measured) => process.send?.({ measured }, () => process.disconnect()),
    (error) => process.send?.({ error: error instanceof Error ? error.message : String(error) }, () => process.exit(1)),
  );
});

/**
 * @param {{source: Database, target: Database, table: string}} job
 * @returns {Promise<Measured>}
 */
async function measure({ source, target, table }) {
  const manager = new ReplicationManager();
  await manager.addReplica('source', replica(source), []);
  await manager.addReplica('target', replica(target), []);
  manager.addReplicationRule({ name: 'copy', source: 'source', target: 'target', mode: 'snapshot', collections: [table] });
  await delay(SETTLE_MS);
  const isMeasurable = startPeak();
  const idle = isMeasurable ? residentBytes() : 0;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const stats = await manager.sync('copy');
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const memory = isMeasurable ? { idle, peak: peakBytes() } : undefined;
  await manager.disconnectAll();
  if (stats.errors > 0) throw new Error(`the copy had ${stats.errors} errors: ${JSON.stringify(stats.details)}`);
  return { seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, memory };
}

/**
 * @param {Database} database
 * @returns {import('replicaverse').ReplicaConfig}
 */
function replica({ dialect, uri }) {
  return { name: 'main', role: 'master', dialect, uri, schemaStrategy: 'none' };
}
