// A streaming standby of a test cluster, made by pg_basebackup.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runOrThrow } from '../../scripts/servers/command.mjs';
import { eventually } from './eventually.mjs';
import { handOver } from './account.mjs';
import { writeSettings } from './postgres-data.mjs';
import { PostgresNode } from './postgres-node.mjs';
import { createDataFolder, createServerFolder } from './server-folder.mjs';
import { serverEnvironment } from './server-process.mjs';

/** A standby of a primary. */
export class PostgresStandby extends PostgresNode {
  /** @type {PostgresNode} */
  #primary;

  /**
   * @param {import('./postgres-node.mjs').PostgresIdentity} identity
   * @param {PostgresNode} primary
   * @param {string} name
   */
  constructor(identity, primary, name) {
    super(identity);
    this.#primary = primary;
    /** The application name under which the primary sees it. */
    this.name = name;
  }

  /**
   * Makes a standby from a base backup, starts it, and waits until it has caught up.
   * @param {PostgresNode} primary
   * @param {string} name
   * @returns {Promise<PostgresStandby>}
   */
  static async create(primary, name) {
    const { bin, account } = primary.identity;
    const folder = await createServerFolder(account);
    const standby = new PostgresStandby({ ...primary.identity, folder }, primary, name);
    try {
      await createDataFolder(folder, account);
      const connection = `host=${primary.socketDir} port=${primary.port} user=${primary.user} application_name=${name}`;
      const backup = ['-d', connection, '-D', folder.data, '-R', '-X', 'stream', '-c', 'fast', '--no-sync'];
      const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
      await runOrThrow(path.join(bin, 'pg_basebackup'), backup, { ...identity, cwd: folder.root, env: serverEnvironment() });
      await standby.start();
      await standby.waitUntilCaughtUp();
      return standby;
    } catch (error) {
      await standby.remove();
      throw error;
    }
  }

  /**
   * Makes a standby from a copy of the data of a primary, which is stopped meanwhile, starts both, and waits until it has caught up.
   * @param {PostgresNode} primary
   * @param {string} name
   * @param {Record<string, string | number | boolean>} settings
   * @returns {Promise<PostgresStandby>}
   */
  static async createFromCopy(primary, name, settings) {
    const { account, folder: original } = primary.identity;
    const folder = await createServerFolder(account);
    const standby = new PostgresStandby({ ...primary.identity, folder }, primary, name);
    try {
      await primary.stop();
      await runOrThrow('cp', ['-R', original.data, folder.data]);
      await primary.start();
      await writeFile(path.join(folder.data, 'standby.signal'), '');
      await writeSettings(folder, {
        primary_conninfo: `host=${primary.socketDir} port=${primary.port} user=${primary.user} dbname=postgres application_name=${name}`,
        ...settings,
      });
      await runOrThrow('chmod', ['-R', 'u+rwX,go-rwx', folder.data]);
      await handOver(folder.data, account);
      await standby.start();
      await standby.waitUntilCaughtUp();
      return standby;
    } catch (error) {
      await standby.remove();
      throw error;
    }
  }

  /**
   * Waits until the standby streams and has replayed all that the primary had written at the call.
   * @returns {Promise<void>}
   */
  async waitUntilCaughtUp() {
    const position = await this.#primary.psql('SELECT pg_current_wal_lsn()', 'postgres');
    const question = `SELECT pg_last_wal_replay_lsn() >= '${position}' AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')`;
    const what = `${this.name} streaming up to ${position}`;
    await eventually(async () => (await this.psql(question, 'postgres')) === 't', { deadlineMs: 30_000, what });
  }

  /**
   * Makes it a primary and waits until it accepts writes.
   * @returns {Promise<void>}
   */
  async promote() {
    const promoted = await this.psql('SELECT pg_promote(true, 60)', 'postgres');
    if (promoted !== 't') throw new Error(`${this.name} was not promoted within 60 seconds`);
  }
}
