// A cluster of four shards, which are databases of one server, beside a database that holds all rows.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

export const SHARDS = 4;

/** @typedef {import('replicaverse/pg-multiverse').ShardingConfig} ShardingConfig */

/** The server and its databases. */
export class ShardedShop {
  /** @param {string} schema the definitions that all databases get */
  static async start(schema) {
    const server = await startPostgres({ settings: { max_prepared_transactions: 20 } });
    const names = Array.from({ length: SHARDS }, (_, number) => `shard${number}`);
    /** @type {string[]} */
    const uris = [];
    for (const name of [...names, 'whole']) {
      uris.push(await server.createDatabase(name));
      await server.psql(schema, name);
    }
    return new ShardedShop(server, uris);
  }

  /**
   * @param {Awaited<ReturnType<typeof startPostgres>>} server
   * @param {string[]} uris
   */
  constructor(server, uris) {
    this.server = server;
    this.addresses = uris.map((uri) => addressOf(uri));
  }

  /** The address of a shard. @param {number} number */
  address(number) {
    return /** @type {ReturnType<typeof addressOf>} */ (this.addresses[number]);
  }

  /**
   * The clusters: `main` in shards, and `whole` with all rows.
   *
   * @param {Partial<ShardingConfig>} [sharding]
   * @returns {import('replicaverse/pg-multiverse').ClustersConfig}
   */
  clusters(sharding) {
    const shards = Array.from({ length: SHARDS }, (_, number) => ({ primary: this.address(number) }));
    const connectionPool = { min: 0, max: 6 };
    return {
      main: { schemas: ['public'], sharding: { strategy: 'hash', key: 'user_id', partitions: SHARDS, shards, ...sharding }, connectionPool },
      whole: { schemas: ['everything'], primary: this.address(SHARDS), connectionPool },
    };
  }

  /** @param {Partial<ShardingConfig>} [sharding] */
  async open(sharding) {
    const db = new PgMultiverse();
    await db.initialize(this.clusters(sharding));
    return db;
  }

  /** The only value of a query on one shard. @param {number} number @param {string} sql */
  ask(number, sql) {
    return this.server.psql(sql, `shard${number}`);
  }

  /** The only value of a query on every shard. @param {string} sql */
  askAll(sql) {
    return Promise.all(Array.from({ length: SHARDS }, (_, number) => this.ask(number, sql)));
  }

  async remove() {
    await this.server.remove();
  }
}
