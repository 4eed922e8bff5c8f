// Watches a manager: listens to its events, and finds out by looking what it does not tell.
import { EventEmitter } from 'node:events';
import type { ReplicationEvents, SyncStats } from '../replicator/types.js';
import type { Activity, Told } from './activity.js';
import type { History } from './history.js';
import { type ReplicaView, replicasOf, rulesOf, runOf } from './views.js';
import type { MonitoredManager } from './types.js';

/** The events that are passed on. */
type Heard = 'rule.sync.start' | 'rule.sync.done' | 'state' | 'replica.feed' | 'rows.lost' | 'quorum' | 'failover' | 'failover.refused';

interface Seen {
  replicas: Map<string, ReplicaView & { project: string }>;
  rules: Set<string>;
}

/** Watches until the function that is given is called. */
export function watchManager(manager: MonitoredManager, activity: Activity, history: History, pollMs: number): () => void {
  history.look(manager);
  let seen = look(manager);
  for (const { project, name, role } of seen.replicas.values()) activity.tell({ type: 'replica.added', project, replica: name, role });
  for (const rule of seen.rules) activity.tell({ type: 'rule.added', rule });
  const unlisten = listen(manager, activity);
  const timer = setInterval(() => {
    try {
      const now = look(manager);
      for (const told of differences(seen, now)) activity.tell(told);
      seen = now;
      history.look(manager);
    } catch (error) {
      activity.tell({ type: 'error', message: messageOf(error), context: 'looking at the manager' });
    }
  }, pollMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    unlisten();
  };
}

function look(manager: MonitoredManager): Seen {
  const replicas = Object.entries(replicasOf(manager)).flatMap(([project, views]) =>
    views.map((view) => [JSON.stringify([project, view.name]), { ...view, project }] as const),
  );
  return { replicas: new Map(replicas), rules: new Set(rulesOf(manager).map(({ name }) => name)) };
}

function differences(before: Seen, now: Seen): Told[] {
  const told: Told[] = [];
  for (const [key, { project, name, role, state, lag }] of now.replicas) {
    const known = before.replicas.get(key);
    if (known === undefined) told.push({ type: 'replica.added', project, replica: name, role });
    else if (known.role !== role && role === 'master') told.push({ type: 'replica.promoted', project, replica: name });
    if (known === undefined || known.state !== state || known.lag !== lag) {
      told.push({ type: 'replica.state', project, replica: name, state, ...(lag == null ? {} : { lag }) });
    }
  }
  for (const [key, { project, name }] of before.replicas) {
    if (!now.replicas.has(key)) told.push({ type: 'replica.removed', project, replica: name });
  }
  for (const rule of now.rules) if (!before.rules.has(rule)) told.push({ type: 'rule.added', rule });
  for (const rule of before.rules) if (!now.rules.has(rule)) told.push({ type: 'rule.removed', rule });
  return told;
}

/** What looking does not show: runs of rules, and failovers. */
function listen(manager: MonitoredManager, activity: Activity): () => void {
  if (!(manager instanceof EventEmitter)) return () => undefined;
  const listeners: { [E in Heard]: (...args: ReplicationEvents[E]) => void } = {
    'rule.sync.start': ({ rule }) => { activity.tell({ type: 'rule.sync.start', rule }); },
    'rule.sync.done': (stats: SyncStats) => {
      const run = runOf(stats);
      if (run !== undefined) activity.tell({ type: 'rule.sync.done', rule: stats.ruleName, stats: run });
    },
    state: (event) => { activity.tell({ type: 'rule.state', ...event }); },
    'replica.feed': (event) => { activity.tell({ type: 'replica.feed', ...event }); },
    'rows.lost': ({ project, name, collection, count }) => { activity.tell({ type: 'rows.lost', project, name, collection, count }); },
    quorum: (event) => { activity.tell({ type: 'quorum', ...event }); },
    failover: (event) => { activity.tell({ type: 'failover', ...event }); },
    'failover.refused': (event) => { activity.tell({ type: 'failover.refused', ...event }); },
  };
  const entries = Object.entries(listeners) as [string, (...args: unknown[]) => void][];
  for (const [event, listener] of entries) manager.on(event, listener);
  return () => {
    for (const [event, listener] of entries) manager.off(event, listener);
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
