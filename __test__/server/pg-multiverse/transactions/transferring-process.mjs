// A process that transfers money between two clusters until it is killed, and writes a dot for each transfer.
import { PgMultiverse } from 'replicaverse/pg-multiverse';

const db = new PgMultiverse();
await db.initialize(/** @type {import('replicaverse/pg-multiverse').ClustersConfig} */ (JSON.parse(process.argv[2] ?? '')));
await Promise.all(
  Array.from({ length: 4 }, async () => {
    for (;;) {
      await db.withTransaction(['users', 'orders'], async (tx) => {
        await tx.query('UPDATE account SET amount = amount - 1 WHERE id = 1', [], { schema: 'users' });
        await tx.query('UPDATE account SET amount = amount + 1 WHERE id = 1', [], { schema: 'orders' });
      });
      process.stdout.write('.');
    }
  }),
);
