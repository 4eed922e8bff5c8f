// Figures in the text format of Prometheus.
import { type ReplicaView, type RuleView, replicasOf, rulesOf } from './views.js';
import { familyText, type Sample } from '../prometheus-text.js';
import type { MonitoredManager } from './types.js';

/** The figures of every replica and rule. */
export function metricsOf(manager: MonitoredManager): string {
  const replicas = Object.entries(replicasOf(manager)).flatMap(([project, views]) => views.map((view) => ({ ...view, project })));
  const rules = rulesOf(manager);
  const ofReplica = (value: (replica: ReplicaView) => number | undefined): Sample[] =>
    replicas.map((replica) => [{ project: replica.project, replica: replica.name, role: roleOf(replica) }, value(replica)]);
  const ofRule = (value: (rule: RuleView) => number | undefined): Sample[] => rules.map((rule) => [{ rule: rule.name }, value(rule)]);
  return [
    gauge('replicaverse_replica_up', 'Whether the replica can be used.', ofReplica(({ state }) => (state === 'up' ? 1 : 0))),
    gauge('replicaverse_replica_lag_seconds', 'How far the replica is behind.', ofReplica(({ lag }) => (lag == null ? undefined : lag / 1000))),
    gauge('replicaverse_replica_lag_bytes', 'Bytes of log that the replica lacks.', ofReplica(({ lagBytes }) => lagBytes)),
    gauge('replicaverse_rule_enabled', 'Whether the rule is enabled.', ofRule(({ enabled }) => (enabled ? 1 : 0))),
    gauge('replicaverse_rule_lag_seconds', 'How far a rule that streams is behind.', ofRule(({ stream }) => seconds(stream?.lag))),
    gauge('replicaverse_rule_retained_bytes', 'Bytes of its log that the source keeps for the rule.', ofRule(({ stream }) => stream?.retainedBytes)),
    gauge('replicaverse_rule_last_run_timestamp_seconds', 'When the last run ended.', ofRule(({ lastStats }) => seconds(lastStats?.lastRun))),
    gauge('replicaverse_rule_last_run_duration_seconds', 'How long the last run took.', ofRule(({ lastStats }) => seconds(lastStats?.durationMs))),
    gauge('replicaverse_rule_last_run_inserted', 'Rows that the last run inserted.', ofRule(({ lastStats }) => lastStats?.inserted)),
    gauge('replicaverse_rule_last_run_updated', 'Rows that the last run updated.', ofRule(({ lastStats }) => lastStats?.updated)),
    gauge('replicaverse_rule_last_run_deleted', 'Rows that the last run deleted.', ofRule(({ lastStats }) => lastStats?.deleted)),
    gauge('replicaverse_rule_last_run_failed', 'Rows and collections that failed in the last run.', ofRule(({ lastStats }) => lastStats?.failed)),
    manager.metricsText?.() ?? '',
  ].join('');
}

/** The role, which a manager of the application's own may leave out. */
function roleOf({ role }: { role?: string }): string {
  return role ?? 'unknown';
}

function seconds(millis: number | undefined): number | undefined {
  return millis === undefined ? undefined : millis / 1000;
}

function gauge(name: string, help: string, samples: readonly Sample[]): string {
  return familyText('gauge', name, help, samples);
}
