// Two clusters with a table of accounts each, for tests of transactions over both of them.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';

/** @typedef {Awaited<ReturnType<typeof startPostgres>>} Server */

/** Two servers: `users` is on the first, `orders` on the second, and so are `more_users` and `more_orders`. */
export class Shops {
  /** @param {Record<string, string | number | boolean>} [settings] of both servers */
  static async start(settings = {}) {
    const servers = await Promise.all([startPostgres({ settings }), startPostgres({ settings })]);
    const shops = new Shops(...servers);
    await Promise.all(
      [servers[0].psql(schemaSql('users')), servers[1].psql(schemaSql('orders'))],
    );
    return shops;
  }

  /**
   * @param {Server} first
   * @param {Server} second
   */
  constructor(first, second) {
    this.first = first;
    this.second = second;
  }

  /** @returns {import('replicaverse/pg-multiverse').ClustersConfig} */
  clusters() {
    return {
      eu: { schemas: ['users', 'more_users'], primary: addressOf(this.first.uri) },
      us: { schemas: ['orders', 'more_orders'], primary: addressOf(this.second.uri) },
    };
  }

  /** @param {import('replicaverse/pg-multiverse').MultiClusterConfig} [config] */
  async open(config) {
    const db = new PgMultiverse(config);
    await db.initialize(this.clusters());
    return db;
  }

  /** The amounts of account 1 of both clusters. */
  async amounts() {
    const read = (/** @type {Server} */ server, /** @type {string} */ schema) => server.psql(`SELECT amount FROM ${schema}.account WHERE id = 1`);
    const found = await Promise.all([read(this.first, 'users'), read(this.second, 'orders')]);
    return found.map(Number);
  }

  async reset() {
    await this.first.psql('UPDATE users.account SET amount = 100');
    await this.second.psql('UPDATE orders.account SET amount = 100');
  }

  /** What is prepared on both servers, and the decisions that are left. */
  async left() {
    const prepared = await Promise.all([this.first, this.second].map((server) => server.psql('SELECT gid FROM pg_prepared_xacts')));
    const decisions = await Promise.all(
      [this.first, this.second].map(async (server) => {
        const exists = await server.psql("SELECT to_regclass('public.replicaverse_transaction') IS NOT NULL");
        return exists === 't' ? server.psql('SELECT id FROM replicaverse_transaction') : '';
      }),
    );
    return [...prepared, ...decisions].filter((text) => text !== '');
  }

  async remove() {
    await Promise.all([this.first.remove(), this.second.remove()]);
  }
}

/** @param {string} schema */
function schemaSql(schema) {
  return `
    CREATE SCHEMA ${schema};
    CREATE SCHEMA more_${schema};
    CREATE TABLE ${schema}.account (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0));
    INSERT INTO ${schema}.account VALUES (1, 100), (2, 100);
    CREATE FUNCTION ${schema}.take(wanted int) RETURNS int LANGUAGE sql AS
      'UPDATE ${schema}.account SET amount = amount - wanted WHERE id = 1 RETURNING amount';
    CREATE TABLE more_${schema}.account (id int PRIMARY KEY, amount int NOT NULL);
  `;
}
