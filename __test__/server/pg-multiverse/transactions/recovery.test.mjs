// What dead processes and servers leave is finished by whoever comes next.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../../../support/index.mjs';
import { Shops } from './shops.mjs';

/** @type {Shops} */
let shops;
beforeAll(async () => {
  shops = await Shops.start();
});
afterAll(() => shops.remove());

const TRANSFERRING = fileURLToPath(new URL('transferring-process.mjs', import.meta.url));
const isSettled = async () => (await Promise.all([shops.first, shops.second].map((server) => server.psql('SELECT gid FROM pg_prepared_xacts')))).every((gids) => gids === '');

/** The sum of all accounts, and the transfers that each cluster knows of. */
async function ledger() {
  const sums = await Promise.all([shops.first.psql('SELECT sum(amount) FROM users.account'), shops.second.psql('SELECT sum(amount) FROM orders.account')]);
  return sums.map(Number).reduce((sum, amount) => sum + amount, 0);
}

describe('recovery', () => {
  it('finishes what a process that was killed has left, once another begins', async () => {
    await shops.first.psql('UPDATE users.account SET amount = 1000000');
    const before = await ledger();
    for (let round = 0; round < 5; round += 1) {
      const child = spawn(process.execPath, [TRANSFERRING, JSON.stringify(shops.clusters())], { stdio: ['ignore', 'pipe', 'inherit'] });
      let dots = 0;
      child.stdout.on('data', (/** @type {Buffer} */ text) => {
        dots += text.length;
      });
      await eventually(() => dots > 20 + 7 * round, { deadlineMs: 30_000, what: 'transfers' });
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      const db = await shops.open();
      await eventually(isSettled, { what: 'nothing to be prepared any more' });
      await db.close();
      expect(await ledger()).toBe(before);
    }
  });

  it('commits what was decided and rolls back what was not, by whatever names the clusters go', async () => {
    const db = await shops.open();
    // Makes the table.
    await db.withTransaction(['users', 'orders'], async (tx) => {
      await tx.query('UPDATE account SET amount = 1 WHERE id = 2', [], { schema: 'users' });
      await tx.query('UPDATE account SET amount = 1 WHERE id = 2', [], { schema: 'orders' });
    });
    await db.close();
    const system = await shops.first.psql("SELECT system_identifier || ':' || (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system()");
    const [decided, undecided, unknown] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003'];
    await shops.first.psql(`INSERT INTO replicaverse_transaction (id, participants) VALUES ('${decided}', '{us}')`);
    const prepare = (/** @type {string} */ amount, /** @type {string} */ name, /** @type {number} */ id) =>
      shops.second.psql(`BEGIN; INSERT INTO orders.account VALUES (${id}, ${amount}); PREPARE TRANSACTION '${name}'`);
    await prepare('11', `replicaverse:${decided}:0:${system}`, 11);
    await prepare('12', `replicaverse:${undecided}:0:${system}`, 12);
    await prepare('13', `replicaverse:${unknown}:0:1:2`, 13);
    await prepare('14', 'of somebody else', 14);
    const { PgMultiverse } = await import('replicaverse/pg-multiverse');
    const other = new PgMultiverse();
    const { eu, us } = shops.clusters();
    await other.initialize({ x: { .../** @type {NonNullable<typeof us>} */ (us) }, y: { .../** @type {NonNullable<typeof eu>} */ (eu) } });
    await eventually(async () => (await shops.second.psql('SELECT count(*) FROM pg_prepared_xacts')) === '2', { what: 'the end of those whose decision is known' });
    expect(await shops.second.psql('SELECT id FROM orders.account WHERE id > 10')).toBe('11');
    // What nobody here can know, and what is not ours, is left alone.
    expect(await shops.second.psql('SELECT gid FROM pg_prepared_xacts ORDER BY gid')).toBe(`of somebody else\nreplicaverse:${unknown}:0:1:2`);
    await other.close();
    await shops.second.psql("ROLLBACK PREPARED 'of somebody else'");
    await shops.second.psql(`ROLLBACK PREPARED 'replicaverse:${unknown}:0:1:2'`);
  });

  it('finishes within seconds what a server that was killed has left, while transfers are tried all the time', async () => {
    await shops.first.psql('UPDATE users.account SET amount = 1000000');
    const before = await ledger();
    const db = await shops.open();
    let isOver = false;
    let committed = 0;
    const working = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const amount = 1;
        const transfer = db.withTransaction(['users', 'orders'], async (tx) => {
          await tx.query('UPDATE account SET amount = amount - $1 WHERE id = 1', [amount], { schema: 'users' });
          await tx.query('UPDATE account SET amount = amount + $1 WHERE id = 1', [amount], { schema: 'orders' });
        });
        await transfer.then(
          () => {
            committed += 1;
          },
          // A server is down.
          () => new Promise((resolve) => setTimeout(resolve, 20)),
        );
      }
    });
    for (const server of [shops.second, shops.first, shops.second]) {
      const reached = committed + 20;
      await eventually(() => committed > reached, { deadlineMs: 30_000, what: 'transfers' });
      await server.kill();
      await server.start();
    }
    const reached = committed + 20;
    await eventually(() => committed > reached, { deadlineMs: 30_000, what: 'transfers' });
    isOver = true;
    await Promise.all(working);
    await eventually(isSettled, { deadlineMs: 15_000, what: 'nothing to be prepared any more' });
    await db.close();
    expect(await ledger()).toBe(before);
  });
});
