// `pgm shard check`: where the rows of sharded clusters lie, and which of them lie wrongly.
import type { ShardCheck } from '../../pg-multiverse/sharding/shard-check.js';
import { type PgmParts, withClusters } from './session.js';

/** Counts the rows of each shard; fails if some lie on a shard where no statement looks for them. */
export async function checkShards(parts: PgmParts, { clusters }: { clusters?: string[] }): Promise<number> {
  const { config, output } = parts;
  const sharded = Object.entries(config.clusters).filter(([, { sharding }]) => sharding != null && sharding.enabled !== false);
  const wanted = clusters ?? sharded.map(([id]) => id);
  return withClusters(parts, async ({ db }) => {
    const checks: ShardCheck[] = [];
    for (const cluster of wanted) checks.push(await db.checkShards(cluster));
    const rows = checks.flatMap(({ tables }) => tables);
    if (checks.length === 0) output.line('No cluster is sharded');
    else {
      output.table(
        ['SHARD', 'TABLE', 'ROWS', 'SHARE', 'MISPLACED'],
        rows.map((row) => [row.clusterId, `${row.schema}.${row.table}`, String(row.rows), `${(row.share * 100).toFixed(1)} %`, String(row.misplaced)]),
      );
    }
    for (const { clusterId, uncounted } of checks) {
      for (const { schema, table, reason } of uncounted) output.warn(`${clusterId}: ${schema}.${table} was not counted: ${reason}`);
    }
    output.json({ clusters: checks });
    const misplaced = checks.reduce((sum, check) => sum + check.misplaced, 0);
    if (misplaced > 0) output.fail(`${misplaced} rows lie on a shard to which their key does not lead`);
    return misplaced > 0 ? 1 : 0;
  });
}
