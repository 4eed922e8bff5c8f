// A primary and its standby under a keeper that acts as Patroni does: it promotes the standby half a second after the primary
// has gone, and has the old primary rewound and follow the new one.
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runOrThrow } from '../../scripts/servers/command.mjs';
import { eventually } from './eventually.mjs';
import { startPostgres } from './postgres.mjs';
import { serverEnvironment } from './server-process.mjs';

/** @typedef {import('./postgres-node.mjs').PostgresNode} PostgresNode */

const BEFORE_PROMOTION_MS = 500;

/** Two servers of which one is the primary. */
export class PostgresPair {
  /** @type {PostgresNode} */
  leader;
  /** @type {PostgresNode} */
  follower;
  #primary;

  /** @param {import('./postgres.mjs').PostgresPrimary} primary */
  constructor(primary) {
    this.#primary = primary;
    this.leader = primary;
    this.follower = /** @type {PostgresNode} */ (primary.standbys[0]);
    /** Both, in an order that no failover changes. */
    this.servers = [this.leader, this.follower];
  }

  /** Starts both. What pg_rewind needs is switched on. */
  static async start() {
    return new PostgresPair(await startPostgres({ standbys: 1, settings: { full_page_writes: 'on', wal_log_hints: 'on' } }));
  }

  /**
   * From now on a commit is acknowledged when the follower has it too, so that a failover loses nothing.
   * @returns {Promise<void>}
   */
  async protect() {
    await this.#setSynchronous(this.leader, '*');
    const question = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
    await eventually(async () => (await this.leader.psql(question, 'postgres')) === '1', { deadlineMs: 30_000, what: 'synchronous replication' });
  }

  /**
   * Ends the leader, and promotes the follower half a second later.
   * @param {'kill' | 'stop'} how by SIGKILL, or in order
   * @returns {Promise<void>} when the new leader takes writes
   */
  async failOver(how) {
    const old = this.leader;
    await (how === 'kill' ? old.kill() : old.stop());
    await delay(BEFORE_PROMOTION_MS);
    const promoted = await this.follower.psql('SELECT pg_promote(true, 60)', 'postgres');
    if (promoted !== 't') throw new Error('the follower was not promoted within 60 seconds');
    [this.leader, this.follower] = [this.follower, old];
  }

  /**
   * Has the old leader follow the new one: rewound to where their histories part.
   * @returns {Promise<void>} when it streams
   */
  async rejoin() {
    await this.follower.stop();
    const { bin, account } = this.follower.identity;
    const source = `host=${this.leader.socketDir} port=${this.leader.port} user=${this.leader.user} dbname=postgres`;
    const identity = account === undefined ? {} : { uid: account.uid, gid: account.gid };
    // What the histories have in common ends at a checkpoint, of which the new leader must have one of its own.
    await this.leader.psql('CHECKPOINT', 'postgres');
    await runOrThrow(path.join(bin, 'pg_rewind'), ['-D', this.follower.dataDir, '-R', '--no-sync', `--source-server=${source}`], {
      ...identity,
      cwd: this.follower.dataDir,
      env: serverEnvironment(),
    });
    await this.follower.start();
    // When it is promoted, its commits must not wait for anybody.
    await this.#setSynchronous(this.follower, '');
    const question = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    await eventually(async () => (await this.leader.psql(question, 'postgres')) === '1', { deadlineMs: 30_000, what: 'the old leader following' });
  }

  async remove() {
    await this.#primary.remove();
  }

  /**
   * @param {PostgresNode} server
   * @param {string} names
   */
  async #setSynchronous(server, names) {
    await server.psql(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`, 'postgres');
    await server.psql('SELECT pg_reload_conf()', 'postgres');
  }
}
