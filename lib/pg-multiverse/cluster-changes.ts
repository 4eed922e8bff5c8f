// Changes of a configuration: another schema on a cluster; and what a failover may name.
import { configError, ReplicaverseError } from '../errors.js';
import type { ClustersConfig, SchemaOptions } from './config-types.js';

/** The configuration as the native core reads it: a cluster's id is its key, and not one of its settings. */
export function withoutIds(clusters: ClustersConfig): object {
  return Object.fromEntries(Object.entries(clusters).map(([key, config]) => [key, withoutId(config)]));
}

/** What is no object stays as it is, for the core to refuse by name. */
function withoutId(config: ClustersConfig[string] | null): unknown {
  if (typeof config !== 'object' || config === null) return config;
  const { id: _, ...settings } = config;
  return settings;
}

/** The configuration with a schema that lives on a cluster. */
export function withSchema(clusters: ClustersConfig, schema: string, clusterId: string, options: SchemaOptions): ClustersConfig {
  const cluster = clusters[clusterId];
  if (cluster === undefined) {
    throw new ReplicaverseError(`Cluster ${clusterId} not found in config`, { code: 'ERR_UNKNOWN_CLUSTER' });
  }
  const schemas = [...new Set([...(cluster.schemas ?? []), schema])];
  const hasOptions = Object.keys(options).length > 0;
  const schemaOptions = hasOptions ? { ...cluster.schemaOptions, [schema]: options } : cluster.schemaOptions;
  return { ...clusters, [clusterId]: { ...cluster, schemas, ...(schemaOptions === undefined ? {} : { schemaOptions }) } };
}

/** The configuration without a schema on a cluster; the same one where the cluster does not have it. */
export function withoutSchema(clusters: ClustersConfig, schema: string, clusterId: string): ClustersConfig {
  const cluster = clusters[clusterId];
  if (cluster === undefined) return clusters;
  const { schemaOptions = {}, ...rest } = cluster;
  const schemas = (cluster.schemas ?? []).filter((name) => name !== schema);
  const options = Object.fromEntries(Object.entries(schemaOptions).filter(([name]) => name !== schema));
  const hasOptions = Object.keys(options).length > 0;
  return { ...clusters, [clusterId]: { ...rest, schemas, ...(hasOptions ? { schemaOptions: options } : {}) } };
}

/** Checks that a cluster has a replica to which writes can be pointed. */
export function checkReplica(clusters: ClustersConfig, clusterId: string, replicaIndex: number): void {
  const cluster = clusters[clusterId];
  if (cluster === undefined) throw new ReplicaverseError(`Cluster not found: ${clusterId}`, { code: 'ERR_UNKNOWN_CLUSTER' });
  if (!Number.isInteger(replicaIndex)) throw configError('forceFailover: replicaIndex: expected a whole number from 0');
  if (cluster.replicas?.[replicaIndex] === undefined) {
    throw new ReplicaverseError(`No replicas available for failover in cluster: ${clusterId}`, { code: 'ERR_NO_REPLICA' });
  }
}
