// Real PostgreSQL clusters for tests, benchmarks and the demo: a primary and its streaming standbys.
import { randomBytes } from 'node:crypto';
import { requireServer } from '../../scripts/servers/index.mjs';
import { unprivilegedAccount } from './account.mjs';
import { issueCertificates } from './certificate.mjs';
import { copyTemplate, prepareCluster, quoteIdentifier, writeHba, writeSettings } from './postgres-data.mjs';
import { PostgresNode } from './postgres-node.mjs';
import { createServerFolder } from './server-folder.mjs';
import { PostgresStandby } from './postgres-standby.mjs';

/**
 * @typedef {object} PostgresOptions
 * @property {number} [standbys] streaming standbys to make; none by default
 * @property {Record<string, string | number | boolean>} [settings] postgresql.conf, on top of the defaults below
 * @property {string} [database] made besides `postgres`; `app` by default
 * @property {string} [password] of the superuser; random by default
 * @property {boolean} [ssl] with a certificate of its own authority, see `sslCa`
 * @property {readonly string[]} [hba] lines of pg_hba.conf that come before the default ones
 * @property {string} [bin] PostgreSQL's programs, if they are to be others than those that were found
 */

const DEFAULT_SETTINGS = {
  listen_addresses: '127.0.0.1',
  // A killed server loses nothing without fsync; only a crash of the whole machine would.
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'logical',
  max_prepared_transactions: 20,
  max_wal_senders: 20,
  max_replication_slots: 20,
  // Lets a standby that was stopped for a while catch up without a slot.
  wal_keep_size: '128MB',
  shared_buffers: '32MB',
  // A standby whose primary comes back looks for it at this interval, five seconds by default.
  wal_retrieve_retry_interval: '200ms',
  // In the data folder instead of /dev/shm, where a killed server would leave it.
  dynamic_shared_memory_type: 'mmap',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

const DEFAULT_HBA = [
  'local all all trust',
  'host all all 127.0.0.1/32 scram-sha-256',
  'host replication all 127.0.0.1/32 scram-sha-256',
];

// The standbys' way in stays open whatever rules a test adds.
const STANDBY_HBA = 'local replication postgres trust';

/**
 * Starts a cluster of its own: a primary that accepts password logins over TCP on 127.0.0.1 and logins
 * without password on its unix socket, and as many streaming standbys as wanted, caught up.
 * @param {PostgresOptions} [options]
 * @returns {Promise<PostgresPrimary>}
 * @throws {Error} when PostgreSQL is missing, or does not start: then with the last lines of its log
 */
export async function startPostgres(options = {}) {
  const { standbys = 0, settings = {}, database = 'app', hba = [], ssl = false } = options;
  const password = options.password ?? randomBytes(12).toString('hex');
  const server = options.bin === undefined ? await requireServer('postgres') : { bin: options.bin, standbys: false, source: options.bin };
  if (standbys > 0 && !server.standbys) {
    throw new Error(`standbys need pg_basebackup, which the PostgreSQL in ${server.bin} (${server.source}) lacks; install the complete PostgreSQL`);
  }
  const account = await unprivilegedAccount(['postgres']);
  const folder = await createServerFolder(account);
  try {
    await copyTemplate(server.bin, folder, account);
    const certificates = ssl ? await issueCertificates(folder.data, account) : undefined;
    await writeSettings(folder, { ...DEFAULT_SETTINGS, ...certificates?.settings, ...settings });
    await writeHba(folder, [STANDBY_HBA, ...hba, ...DEFAULT_HBA]);
    await prepareCluster(server.bin, folder, account, { password, database });
    const primary = new PostgresPrimary({ bin: server.bin, folder, account, password, database, sslCa: certificates?.caFile });
    await primary.start();
    await primary.addStandbys(standbys);
    return primary;
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

/** A primary with its standbys. */
export class PostgresPrimary extends PostgresNode {
  /** @type {PostgresStandby[]} */
  standbys = [];

  /**
   * Makes further standbys from base backups and waits until they stream and have caught up.
   * @param {number} count
   * @returns {Promise<void>}
   */
  async addStandbys(count) {
    const first = this.standbys.length + 1;
    const made = Array.from({ length: count }, (_, index) => PostgresStandby.create(this, `standby_${first + index}`));
    // All are awaited, so that one that fails does not leave another half-made.
    const outcomes = await Promise.allSettled(made);
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') this.standbys.push(outcome.value);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) {
      await this.remove();
      throw failed.reason;
    }
  }

  /**
   * Makes a standby from a copy of the data, for which the primary is stopped for a moment: for a PostgreSQL without pg_basebackup.
   * @param {string} name
   * @param {Record<string, string | number | boolean>} settings of the standby, on top of those of the primary
   * @returns {Promise<PostgresStandby>}
   */
  async addCopiedStandby(name, settings) {
    const standby = await PostgresStandby.createFromCopy(this, name, settings);
    this.standbys.push(standby);
    return standby;
  }

  /**
   * Makes another database.
   * @param {string} name
   * @returns {Promise<string>} its URI
   */
  async createDatabase(name) {
    await this.psql(`CREATE DATABASE ${quoteIdentifier(name)}`, 'postgres');
    return this.uriOf(name);
  }

  /**
   * Ends the primary and its standbys and removes their folders.
   * @returns {Promise<void>}
   */
  async remove() {
    await Promise.all(this.standbys.map((standby) => standby.remove()));
    await super.remove();
  }
}
