// How a dashboard asks an instance for the figures of its servers.
import type { ClusterFigures } from './engine-reports.js';

/**
 * @internal The method that gives them. The symbol is that of the whole process, as the dashboard may be of another copy of
 * this package.
 */
export const CLUSTER_FIGURES: unique symbol = Symbol.for('replicaverse.clusterFigures');

/** Clusters that a dashboard can show: an instance of `PgMultiverse`. */
export interface MonitoredClusters {
  /** @internal */
  [CLUSTER_FIGURES](): readonly ClusterFigures[];
  metricsText(): string;
}
