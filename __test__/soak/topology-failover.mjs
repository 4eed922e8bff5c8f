// One failover under write load: the master is killed at a random moment, and nothing that it acknowledged may be missing.
import { rm } from 'node:fs/promises';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReplicationManager, createIsolatedDialect } from 'replicaverse';
import { eventually, startMongo, startPostgres } from '../support/index.mjs';
import { Random } from './random.mjs';

/** @type {import('replicaverse').EntitySchema} */
const ITEM = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };
const WRITERS = 4;
const DEADLINE = { deadlineMs: 60_000 };

/**
 * @typedef {object} FailoverReport
 * @property {number} acknowledged writes
 * @property {number} refusedMs from the promotion to the first write that was accepted
 * @property {string} newMaster
 */

/**
 * Runs one seed: a master with two synchronous standbys, and slaves in SQLite and MongoDB that the manager feeds.
 *
 * @param {number} seed
 * @returns {Promise<FailoverReport>}
 * @throws {Error} when a row is missing, two masters were seen, or the old master does not come back as an equal slave.
 */
export async function runFailover(seed) {
  const numbers = new Random(seed);
  const random = (/** @type {number} */ below) => numbers.below(below);
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-failover-'));
  const primary = await startPostgres({ standbys: 2 });
  const mongo = /** @type {import('../support/mongodb.mjs').RunningMongo} */ (await startMongo());
  const manager = new ReplicationManager(undefined, { lagIntervalMs: 100 });
  const load = new Load(manager);
  try {
    await primary.psql(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby_1, standby_2)'`, 'postgres');
    await primary.psql('SELECT pg_reload_conf()', 'postgres');
    await manager.addReplica('p', { name: 'm', role: 'master', dialect: 'postgres', uri: primary.uri }, [ITEM]);
    for (const { name, uri } of primary.standbys) {
      await manager.addReplica('p', { name, role: 'slave', dialect: 'postgres', uri, schemaStrategy: 'none', lagTolerance: 0 }, [ITEM]);
    }
    await manager.addReplica('p', { name: 's', role: 'slave', dialect: 'sqlite', uri: join(folder, 's.db') }, [ITEM]);
    await manager.addReplica('p', { name: 'd', role: 'slave', dialect: 'mongodb', uri: mongo.uri }, [ITEM]);
    manager.setAutoFailover('p', { after: 1000 });
    let promotedAt = 0;
    manager.once('failover', () => { promotedAt = performance.now(); });
    const old = manager.resolveWriteService('p');
    load.start(random);
    await sleep(300 + random(1500));
    await eventually(() => load.acknowledged.length > 20, DEADLINE);
    await primary.kill();
    await eventually(() => promotedAt > 0, { ...DEADLINE, what: `a failover: ${JSON.stringify(manager.getReplicaStatus('p'))}` });
    const before = load.acknowledged.length;
    await eventually(() => load.acknowledged.length > before + 20, DEADLINE);
    const refusedMs = load.firstAfter(promotedAt) - promotedAt;
    await load.stop();
    const [{ name: newMaster } = { name: '' }] = manager.getReplicaStatus('p').filter(({ role }) => role === 'master');
    const rejected = await old?.create('Item', { id: 'refused' }).then(() => false, () => true);
    if (rejected !== true) throw new Error('the old master took a write');
    if (load.mostMasters !== 1) throw new Error(`${String(load.mostMasters)} masters were seen at a time`);
    const ids = await idsAt(manager.resolveWriteService('p'));
    const missing = load.acknowledged.filter((id) => !ids.has(id));
    if (missing.length > 0) throw new Error(`${newMaster} lacks ${String(missing.length)} rows that were acknowledged: ${missing.slice(0, 5).join(' ')}`);
    await primary.start();
    /** @type {Record<string, import('replicaverse').ConnectionConfig>} */
    const slaves = {
      m: { dialect: 'postgres', uri: primary.uri, schemaStrategy: 'none' },
      s: { dialect: 'sqlite', uri: join(folder, 's.db'), schemaStrategy: 'none' },
      d: { dialect: 'mongodb', uri: mongo.uri, schemaStrategy: 'none' },
    };
    for (const [name, connection] of Object.entries(slaves)) {
      const holds = async () => {
        checkFed(manager, name);
        return isEqual(await rowsAt(connection), ids);
      };
      await eventually(holds, { ...DEADLINE, what: `${name} equal to ${newMaster}` });
    }
    return { acknowledged: load.acknowledged.length, refusedMs, newMaster };
  } finally {
    await load.stop();
    await manager.disconnectAll();
    await Promise.all([primary.remove(), mongo.remove()]);
    await rm(folder, { recursive: true });
  }
}

/** Writers that do not stop at an error. */
class Load {
  /** @type {string[]} */
  acknowledged = [];
  mostMasters = 0;
  /** @type {number[]} */
  #times = [];
  #isRunning = false;
  /** @type {Promise<void>[]} */
  #writers = [];
  /** @type {ReplicationManager} */
  #manager;

  /** @param {ReplicationManager} manager */
  constructor(manager) {
    this.#manager = manager;
  }

  /** @param {(below: number) => number} random */
  start(random) {
    this.#isRunning = true;
    this.#writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(writer, random));
  }

  async stop() {
    this.#isRunning = false;
    await Promise.all(this.#writers);
  }

  /** @param {number} moment */
  firstAfter(moment) {
    return this.#times.find((time) => time >= moment) ?? Number.POSITIVE_INFINITY;
  }

  /**
   * @param {number} writer
   * @param {(below: number) => number} random
   */
  async #write(writer, random) {
    for (let number = 0; this.#isRunning; number += 1) {
      const id = `${String(writer)}-${String(number)}`;
      try {
        const service = this.#manager.resolveWriteService('p');
        if (service === null) throw new Error('there is no master');
        await service.create('Item', { id, name: 'x'.repeat(1 + random(200)) });
        this.acknowledged.push(id);
        this.#times.push(performance.now());
      } catch {
        await sleep(10);
      }
      this.mostMasters = Math.max(this.mostMasters, this.#manager.getReplicaStatus('p').filter(({ role }) => role === 'master').length);
    }
  }
}

/**
 * @param {import('replicaverse').ReplicaService | null} service
 * @returns {Promise<Set<unknown>>}
 */
async function idsAt(service) {
  return new Set((await service?.findAll('Item', {}))?.map(({ id }) => id));
}

/**
 * Fails unless a slave is fed by the library and has caught up.
 * @param {ReplicationManager} manager
 * @param {string} name
 */
function checkFed(manager, name) {
  const status = manager.getReplicaStatus('p').find((replica) => replica.name === name);
  if (status?.status !== 'connected' || status.feed !== 'managed' || status.lag !== 0) throw new Error(JSON.stringify(status));
}

/**
 * The ids that a database holds, read beside the manager.
 * @param {import('replicaverse').ConnectionConfig} connection
 * @returns {Promise<Set<unknown>>}
 */
async function rowsAt(connection) {
  const dialect = await createIsolatedDialect(connection, [ITEM]);
  try {
    return new Set((await dialect.find(ITEM, {})).map((row) => /** @type {{ id: unknown }} */ (row).id));
  } finally {
    await dialect.disconnect();
  }
}

/**
 * @param {Set<unknown>} own
 * @param {Set<unknown>} ids
 */
function isEqual(own, ids) {
  if (own.size !== ids.size || [...ids].some((id) => !own.has(id))) throw new Error(`${String(own.size)} rows, not ${String(ids.size)}`);
  return true;
}
