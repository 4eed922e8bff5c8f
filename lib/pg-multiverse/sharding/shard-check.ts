// Where the rows of a sharded cluster lie, counted by its shards themselves.
import type { EngineClient } from '../engine-client.js';
import type { QueryRunner } from '../query-running.js';

/** The rows of a table on one shard. */
export interface ShardTableCheck {
  schema: string;
  table: string;
  shard: number;
  /** The cluster that is the shard. */
  clusterId: string;
  rows: number;
  /** Of all rows of the table, from 0 to 1. */
  share: number;
  /** Rows that belong on another shard, by their key, or on none. */
  misplaced: number;
}

/** How rows are spread over the shards of a cluster. */
export interface ShardCheck {
  clusterId: string;
  shards: string[];
  tables: ShardTableCheck[];
  /** Rows that lie on a shard where no statement looks for them. */
  misplaced: number;
}

/** Counts the rows of every sharded table on each shard. */
export async function checkShards(engine: EngineClient, runner: QueryRunner, clusterId: string): Promise<ShardCheck> {
  const { shards, tables } = await engine.surveyShards(clusterId);
  const found: ShardTableCheck[] = [];
  for (const { schema, name, shardSql } of tables) {
    const sql = `SELECT count(*)::float8 AS rows, count(*) FILTER (WHERE place IS DISTINCT FROM $1::int)::float8 AS misplaced
      FROM (SELECT ${shardSql} AS place FROM ${quoted(schema)}.${quoted(name)}) AS placed`;
    const counts = await Promise.all(
      shards.map(async (shard, number) => {
        const { rows } = await runner.query<{ rows: number; misplaced: number }>(sql, [number], { clusterId: shard });
        return rows[0] ?? { rows: 0, misplaced: 0 };
      }),
    );
    const total = counts.reduce((sum, { rows }) => sum + rows, 0);
    counts.forEach(({ rows, misplaced }, shard) => {
      found.push({ schema, table: name, shard, clusterId: shards[shard] as string, rows, share: total === 0 ? 0 : rows / total, misplaced });
    });
  }
  return { clusterId, shards: [...shards], tables: found, misplaced: found.reduce((sum, { misplaced }) => sum + misplaced, 0) };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
