// One PostgreSQL that is followed by one rule, and by three: how many readers of its log it has, and what they cost it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager } from 'replicaverse';
import { eventually, startPostgres } from '../../__test__/support/index.mjs';
import { EVENTS_PER_TRANSACTION, SCHEMA, TABLE } from '../cdc/workload.mjs';

/**
 * @typedef {object} Fan
 * @property {number} rules
 * @property {number} readers connections over which the log is read
 * @property {number} events
 * @property {number} seconds until each target has all of them
 * @property {number | undefined} readerSeconds processor time of the readers at the source; undefined where it is not told
 */

/** @typedef {Awaited<ReturnType<typeof startPostgres>>} Server */

const DEADLINE_MS = 300_000;
/** Of a second, in which Linux counts the time of processes. */
const TICKS = 100;
const READERS = 'SELECT s.pid FROM pg_stat_replication s JOIN pg_replication_slots r ON r.active_pid = s.pid WHERE r.database = current_database()';

/**
 * @param {number} events
 * @param {import('../../examples/demo/undo.mjs').Undo} undo
 * @param {(message: string) => void} log
 * @returns {Promise<Fan[]>}
 */
export async function measureFans(events, undo, log) {
  const server = await startPostgres({ settings: { wal_level: 'logical', fsync: 'on', max_wal_size: '4GB', autovacuum: 'off' } });
  undo.add(() => server.remove());
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-bench-'));
  undo.add(() => rm(folder, { recursive: true, force: true }));
  const fans = [];
  for (const rules of [1, 3]) {
    fans.push(await measureFan(server, folder, rules, events));
    log(`one source, ${String(rules)} rules: measured`);
  }
  return fans;
}

/**
 * @param {Server} server
 * @param {string} folder
 * @param {number} rules
 * @param {number} events
 * @returns {Promise<Fan>}
 */
async function measureFan(server, folder, rules, events) {
  const database = `fan_${String(rules)}`;
  const uri = await server.createDatabase(database);
  await server.psql(SCHEMA, database);
  const manager = new ReplicationManager();
  await manager.addReplica('source', { name: 'm', role: 'master', dialect: 'postgres', uri, schemaStrategy: 'none' }, []);
  const applied = Array.from({ length: rules }, () => 0);
  manager.on('batch', ({ rule, transactions }) => {
    const at = Number(rule.slice('rule'.length));
    applied[at] = (applied[at] ?? 0) + transactions * EVENTS_PER_TRANSACTION;
  });
  for (let rule = 0; rule < rules; rule += 1) {
    const project = `target${String(rule)}`;
    await manager.addReplica(project, { name: 'm', role: 'master', dialect: 'sqlite', uri: join(folder, `${database}_${String(rule)}.db`), schemaStrategy: 'update' }, []);
    manager.addReplicationRule({ name: `rule${String(rule)}`, source: 'source', target: project, mode: 'cdc', collections: [TABLE] });
    await manager.start(`rule${String(rule)}`);
  }
  try {
    // Rules find together once each has come to the end of the log.
    await eventually(async () => (await readersOf(server, database)).length === 1, { deadlineMs: DEADLINE_MS, what: 'one reader' });
    const before = await processorSeconds(await readersOf(server, database));
    const start = performance.now();
    await server.psql(`CALL write(${String(Math.ceil(events / EVENTS_PER_TRANSACTION))})`, database);
    await eventually(() => Promise.resolve(applied.every((count) => count >= events)), { deadlineMs: DEADLINE_MS, what: 'all changes at all targets' });
    const seconds = (performance.now() - start) / 1000;
    const readers = await readersOf(server, database);
    const after = await processorSeconds(readers);
    const readerSeconds = before === undefined || after === undefined ? undefined : after - before;
    return { rules, readers: readers.length, events, seconds, readerSeconds };
  } finally {
    await manager.disconnectAll();
  }
}

/**
 * @param {Server} server
 * @param {string} database
 */
async function readersOf(server, database) {
  const lines = await server.psql(READERS, database);
  return lines.split('\n').filter((line) => line !== '');
}

/**
 * The processor time that processes have taken.
 * @param {readonly string[]} pids
 */
async function processorSeconds(pids) {
  try {
    const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8')));
    const ticks = texts.map((text) => text.slice(text.lastIndexOf(')') + 2).split(' ').slice(11, 13).map(Number));
    return ticks.flat().reduce((sum, part) => sum + part, 0) / TICKS;
  } catch {
    return undefined;
  }
}
