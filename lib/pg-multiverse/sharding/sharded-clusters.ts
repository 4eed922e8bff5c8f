// Clusters whose rows are spread over shards: every shard is a cluster of its own to the native core.
import { withoutIds } from '../cluster-changes.js';
import type { ClustersConfig } from '../config-types.js';
import { errorOfThrown } from '../failures.js';
import { native } from '../../native.js';
import type { RouteOptions } from '../types.js';

/** A shard's place in its cluster, as the native core writes it into an expanded configuration. */
interface ShardMember {
  readonly cluster: string;
  readonly number: number;
}

/** The connections of a transaction to shards, by their cluster ids. */
export interface ShardBranches {
  readonly branches?: Readonly<Record<string, number>>;
}

/** The code of a statement in a transaction that needs shards which have no part in it yet; they are its message. */
export const NOT_JOINED = 'ERR_SHARD_NOT_JOINED';

/** The configuration with `<cluster>/<number>` in place of each cluster that is spread over shards. */
export function withShards(clusters: ClustersConfig): ClustersConfig {
  const hasShards = typeof clusters === 'object' && clusters !== null && Object.values(clusters).some((cluster) => cluster?.sharding != null);
  if (!hasShards) return clusters;
  try {
    return JSON.parse(native.expandShards(JSON.stringify(withoutIds(clusters)))) as ClustersConfig;
  } catch (thrown) {
    throw errorOfThrown(thrown);
  }
}

/** The shards of a cluster, by their ids; none where it is not sharded. */
export function shardsOf(clusters: ClustersConfig, clusterId: string): string[] {
  return Object.keys(clusters).filter((id) => memberOf(clusters, id)?.cluster === clusterId);
}

/** The sharded cluster to which a route leads, in an expanded configuration. */
export function shardedClusterOf(clusters: ClustersConfig, { schema, clusterId }: RouteOptions): string | undefined {
  if (clusterId !== undefined) return shardsOf(clusters, clusterId).length > 0 ? clusterId : undefined;
  if (schema === undefined) return undefined;
  const shard = Object.keys(clusters).find((id) => memberOf(clusters, id) !== undefined && clusters[id]?.schemas?.includes(schema) === true);
  return shard === undefined ? undefined : memberOf(clusters, shard)?.cluster;
}

function memberOf(clusters: ClustersConfig, id: string): ShardMember | undefined {
  return (clusters[id]?.sharding as { member?: ShardMember } | undefined)?.member;
}
