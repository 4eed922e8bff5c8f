// Where the rows of a sharded cluster lie, counted by its shards themselves.
import type { EngineClient } from '../engine-client.js';
import { DatabaseError } from '../failures.js';
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

/** A table whose rows could not be counted. */
export interface UncountedTable {
  schema: string;
  table: string;
  /** Why, as its column of the key's name has another type, or as the user may not read it. */
  reason: string;
}

/** How rows are spread over the shards of a cluster. */
export interface ShardCheck {
  clusterId: string;
  shards: string[];
  tables: ShardTableCheck[];
  uncounted: UncountedTable[];
  /** Rows that lie on a shard where no statement looks for them. */
  misplaced: number;
}

/** Counts the rows of every sharded table on each shard. One that cannot be counted keeps no other from it. */
export async function checkShards(engine: EngineClient, runner: QueryRunner, clusterId: string): Promise<ShardCheck> {
  const { shards, tables } = await engine.surveyShards(clusterId);
  const found: ShardTableCheck[] = [];
  const uncounted: UncountedTable[] = [];
  for (const { schema, name, shardSql, problem } of tables) {
    if (shardSql === null) {
      uncounted.push({ schema, table: name, reason: problem ?? '' });
      continue;
    }
    const sql = `SELECT count(*)::float8 AS rows, count(*) FILTER (WHERE place IS DISTINCT FROM $1::int)::float8 AS misplaced
      FROM (SELECT ${shardSql} AS place FROM ${quoted(schema)}.${quoted(name)}) AS placed`;
    const counts = await countsOf(shards, runner, sql);
    if (counts instanceof DatabaseError) {
      uncounted.push({ schema, table: name, reason: counts.message });
      continue;
    }
    const total = counts.reduce((sum, { rows }) => sum + rows, 0);
    counts.forEach(({ rows, misplaced }, shard) => {
      found.push({ schema, table: name, shard, clusterId: shards[shard] as string, rows, share: total === 0 ? 0 : rows / total, misplaced });
    });
  }
  return { clusterId, shards: [...shards], tables: found, uncounted, misplaced: found.reduce((sum, { misplaced }) => sum + misplaced, 0) };
}

interface Counts {
  rows: number;
  misplaced: number;
}

/** The counts of each shard, or what a server says against this table. A shard that cannot be asked fails the whole. */
async function countsOf(shards: readonly string[], runner: QueryRunner, sql: string): Promise<Counts[] | DatabaseError> {
  try {
    return await Promise.all(
      shards.map(async (shard, number) => {
        const { rows } = await runner.query<Counts>(sql, [number], { clusterId: shard });
        return rows[0] ?? { rows: 0, misplaced: 0 };
      }),
    );
  } catch (error) {
    if (error instanceof DatabaseError && !error.retryable) return error;
    throw error;
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
