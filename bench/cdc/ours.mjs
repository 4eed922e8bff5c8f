// This library's side, in a process of its own: opens the log, and applies a backlog or streams when it is told to.
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicationManager } from 'replicaverse';
import { peakBytes, residentBytes, startPeak } from '../snapshot/process-memory.mjs';
import { TABLE } from './workload.mjs';

/**
 * @typedef {object} CaughtUp
 * @property {number} seconds of `sync`
 * @property {number} cpuSeconds of this process meanwhile
 * @property {number} changes that were applied
 * @property {{idle: number, peak: number} | undefined} memory resident bytes; undefined where the system does not tell
 */

/**
 * @typedef {object} Streamed
 * @property {number[]} latencies milliseconds from the commit of each transaction's batch to its commit at the target
 */

/** @typedef {{do: 'open', source: import('../snapshot/databases.mjs').Database, target: import('../snapshot/databases.mjs').Database} | {do: 'catch-up'} | {do: 'stream'} | {do: 'end'}} Job */

const SETTLE_MS = 300;
const RULE = 'bench';
const manager = new ReplicationManager();
/** @type {number[]} */
const latencies = [];

process.once('disconnect', () => process.exit(1));
process.on('message', (/** @type {Job} */ job) => {
  carryOut(job).then(
    (result) => process.send?.({ result }),
    (/** @type {unknown} */ error) => process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

/** @param {Job} job */
async function carryOut(job) {
  switch (job.do) {
    case 'open':
      await manager.addReplica('source', { name: 'm', role: 'master', ...job.source, schemaStrategy: 'none' }, []);
      await manager.addReplica('target', { name: 'm', role: 'master', ...job.target, schemaStrategy: 'update' }, []);
      manager.addReplicationRule({ name: RULE, source: 'source', target: 'target', mode: 'cdc', collections: [TABLE] });
      await manager.sync(RULE);
      return {};
    case 'catch-up':
      return catchUp();
    case 'stream':
      manager.on('batch', ({ committedAt, transactions }) => {
        const latency = Date.now() - committedAt.getTime();
        for (let count = 0; count < transactions; count += 1) latencies.push(latency);
      });
      await manager.start(RULE);
      return {};
    case 'end':
      await manager.stop(RULE);
      manager.removeReplicationRule(RULE);
      await manager.disconnectAll();
      process.removeAllListeners('disconnect');
      setImmediate(() => process.disconnect());
      return { latencies };
  }
}

/** @returns {Promise<CaughtUp>} */
async function catchUp() {
  await delay(SETTLE_MS);
  const isMeasurable = startPeak();
  const idle = isMeasurable ? residentBytes() : 0;
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const stats = await manager.sync(RULE);
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  if (stats.errors > 0) throw new Error(`the run had ${String(stats.errors)} errors: ${JSON.stringify(stats.details)}`);
  const changes = stats.details.reduce((sum, { created, updated, deleted }) => sum + created + updated + deleted, 0);
  return {
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    changes,
    memory: isMeasurable ? { idle, peak: peakBytes() } : undefined,
  };
}
