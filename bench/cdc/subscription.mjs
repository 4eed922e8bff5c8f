// The peer for PostgreSQL: its own logical subscription.
import { randomBytes } from 'node:crypto';
import { eventually } from '../../__test__/support/index.mjs';
import { SCHEMA, TABLE } from './workload.mjs';

/** @typedef {Awaited<ReturnType<typeof import('../../__test__/support/index.mjs').startPostgres>>} Server */

/**
 * Subscribes a database of its own, without starting to apply.
 * @param {Server} server
 * @param {string} source database
 * @returns {Promise<{apply(): Promise<number>, end(): Promise<void>}>} `apply` gives the seconds until everything is applied
 */
export async function subscribe(server, source) {
  const name = `peer_${randomBytes(4).toString('hex')}`;
  await server.createDatabase(name);
  await server.psql(SCHEMA, name);
  // A slot cannot be made in a transaction that has written.
  await server.psql(`CREATE PUBLICATION ${name} FOR TABLE ${TABLE}`, source);
  await server.psql(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`, source);
  const connection = `dbname=${source} host=${server.host} port=${String(server.port)} user=${server.user} password=${server.password}`;
  await server.psql(
    `CREATE SUBSCRIPTION ${name} CONNECTION '${connection}' PUBLICATION ${name}
       WITH (create_slot = false, slot_name = '${name}', copy_data = false, enabled = false, binary = true)`,
    name,
  );
  // A subscription without its copy applies only tables that it knows to be ready.
  return {
    apply: async () => {
      const target = await server.psql('SELECT pg_current_wal_insert_lsn()', source);
      const start = performance.now();
      await server.psql(`ALTER SUBSCRIPTION ${name} ENABLE`, name);
      await eventually(
        async () =>
          (await server.psql(`SELECT confirmed_flush_lsn >= '${target}' FROM pg_replication_slots WHERE slot_name = '${name}'`, source)) === 't',
        { deadlineMs: 600_000, intervalMs: 10, what: 'the subscription catching up' },
      );
      return (performance.now() - start) / 1000;
    },
    end: async () => {
      await server.psql(`ALTER SUBSCRIPTION ${name} DISABLE`, name);
      await server.psql(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`, name);
      await server.psql(`DROP SUBSCRIPTION ${name}`, name);
      await server.psql(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${name}' AND active`,
        source,
      );
      await eventually(
        async () => (await server.psql(`SELECT pg_drop_replication_slot('${name}')`, source)) === '',
        { what: 'dropping the slot of the peer' },
      );
      await server.psql(`DROP PUBLICATION ${name}`, source);
      await server.psql(`DROP DATABASE ${name} WITH (FORCE)`, 'postgres');
    },
  };
}
