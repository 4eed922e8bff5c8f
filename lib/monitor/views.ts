// What the endpoints answer, made of what a manager tells.
import type { SyncStats } from '../replicator/types.js';
import type { MonitoredManager, MonitoredReplica, MonitoredRule, ReplicaState, RuleProgress, RuleRun } from './types.js';

/** A replica as the dashboard tells of it. */
export type ReplicaView = MonitoredReplica & { state: ReplicaState };

/** A rule with its last run. */
export type RuleView = MonitoredRule & { lastStats?: RuleRun; stream?: RuleProgress };

const STATES = { connected: 'up', disconnected: 'connecting', error: 'down' } as const;

/** The replicas of every project. */
export function replicasOf(manager: MonitoredManager): Record<string, ReplicaView[]> {
  const views = projectsOf(manager).map((project) => [project, manager.getReplicaStatus(project).map(viewOf)] as const);
  return Object.fromEntries(views);
}

/** The rules, each with its last run, and how its stream stands if it was started. */
export function rulesOf(manager: MonitoredManager): RuleView[] {
  const streams = manager.getRuleStates?.() ?? [];
  return manager.listRules().map((rule) => {
    const lastStats = runOf(manager.getSyncStats?.(rule.name));
    const stream = streams.find((known) => known.rule === rule.name);
    return { ...rule, ...(lastStats === undefined ? {} : { lastStats }), ...(stream === undefined ? {} : { stream }) };
  });
}

/** How each project chooses the slave for a read. */
export function routingOf(manager: MonitoredManager): Record<string, string> {
  return Object.fromEntries(projectsOf(manager).map((project) => [project, manager.getReadRouting?.(project) ?? 'round-robin']));
}

/** What a run did, of what any manager tells of it. */
export function runOf(stats: SyncStats | Partial<RuleRun> | undefined): RuleRun | undefined {
  if (stats === undefined) return undefined;
  if (!('details' in stats)) return { inserted: 0, updated: 0, deleted: 0, failed: 0, durationMs: 0, ...stats };
  const sum = (key: 'created' | 'updated' | 'deleted'): number => stats.details.reduce((total, detail) => total + detail[key], 0);
  // In a status file the moment is text.
  const lastRun = stats.lastSync === null ? undefined : new Date(stats.lastSync).getTime();
  return {
    inserted: sum('created'),
    updated: sum('updated'),
    deleted: sum('deleted'),
    failed: stats.errors,
    durationMs: stats.duration,
    ...(lastRun === undefined ? {} : { lastRun }),
  };
}

function projectsOf(manager: MonitoredManager): string[] {
  return manager.listProjects?.() ?? [];
}

function viewOf(replica: MonitoredReplica): ReplicaView {
  const state = replica.state ?? (replica.status === undefined ? 'unknown' : STATES[replica.status]);
  return { ...replica, state };
}
