// The dashboard of replicas and rules.
export type { ScaffoldOptions as MonitorScaffoldOptions, ScaffoldResult as MonitorScaffoldResult } from '../scaffolding.js';
export { scaffoldMonitorService } from './scaffold.js';
export { startMonitor } from './server.js';
export { type MonitorServiceOptions, runMonitorService } from './service.js';
export { readTreeManager, type TreeManager, type TreeReaderOptions } from './tree-manager.js';
export type {
  ActivityEvent,
  MonitorConfig,
  MonitorHandle,
  MonitoredManager,
  MonitoredManager as ReplicationManagerLike,
  MonitoredReplica,
  MonitoredRule,
  ReplicaState,
  RuleRun,
} from './types.js';
