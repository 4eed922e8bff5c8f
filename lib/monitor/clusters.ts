// The clusters of a PgMultiverse seen as a manager: each is a project, its primary the master, and there are no rules.
import { CLUSTER_FIGURES, type MonitoredClusters } from '../pg-multiverse/cluster-figures.js';
import type { ClusterFigures, ServerFigures } from '../pg-multiverse/engine-reports.js';
import type { MonitoredManager, MonitoredReplica } from './types.js';

/** What the dashboard needs, of whatever it was given. */
export function managerOf(given: MonitoredManager | MonitoredClusters): MonitoredManager {
  return isClusters(given) ? clusterManager(given) : given;
}

function isClusters(given: MonitoredManager | MonitoredClusters): given is MonitoredClusters {
  return CLUSTER_FIGURES in given;
}

function clusterManager(clusters: MonitoredClusters): MonitoredManager {
  const figures = (): readonly ClusterFigures[] => clusters[CLUSTER_FIGURES]();
  return {
    listProjects: () => figures().map(({ id }) => id),
    getReplicaStatus: (project) => (figures().find(({ id }) => id === project)?.servers ?? []).map(replicaOf),
    listRules: () => [],
    // Clusters that are not connected have none.
    metricsText: () => (figures().length === 0 ? '' : clusters.metricsText()),
  };
}

function replicaOf({ id, isPrimary, isUp, max, lastError }: ServerFigures): MonitoredReplica {
  return {
    name: id,
    role: isPrimary ? 'master' : 'slave',
    dialect: 'postgres',
    status: isUp ? 'connected' : 'error',
    poolMax: max,
    ...(isUp || lastError === null ? {} : { error: lastError }),
  };
}
