// Old orders get an empty note, a thousand at a time, so that no row stays locked for long.
import type { Migration, MigrationContext } from 'replicaverse/pg-multiverse';

const migration: Migration = {
  version: '20260301150000_fill_order_notes',
  name: 'fill_order_notes',
  description: 'In batches, each committed by itself',
  targetSchemas: ['sales'],
  createdAt: new Date('2026-03-01T15:00:00Z'),
  // What stopped half-way is continued from the beginning, which finds only what is left.
  transaction: false,

  async up({ query, logger }: MigrationContext): Promise<void> {
    for (;;) {
      const { rowCount } = await query("UPDATE orders SET notes = '' WHERE id IN (SELECT id FROM orders WHERE notes IS NULL LIMIT 1000)");
      if (rowCount === 0) return;
      logger.info(`filled ${rowCount}`);
    }
  },

  async down(): Promise<void> {
    // Empty notes do no harm.
  },
};

export default migration;
