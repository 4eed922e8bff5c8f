// A tree file seen as a manager, without a connection to any database; with the status of the service that runs on it.
import { readFileSync, statSync } from 'node:fs';
import { readStatus } from '../replicator/status-file.js';
import type { ReplicaConfig, ReplicatorTreeFile, SyncStats } from '../replicator/types.js';
import type { MonitoredManager, MonitoredReplica, MonitoredRule } from './types.js';

/** Which tree file is read. */
export interface TreeReaderOptions {
  /** Its path. */
  tree: string;
  /** Whether it is read again when it has changed; it is, unless this says no. */
  watch?: boolean;
}

/** What a tree file tells. */
export interface TreeManager extends MonitoredManager {
  listProjects(): string[];
  getReadRouting(project: string): string;
  getSyncStats(rule: string): SyncStats | undefined;
  /** Reads the file now. */
  refresh(): void;
  /** Reads the file no more. */
  stop(): void;
}

const EMPTY: ReplicatorTreeFile = { replicas: {}, rules: {}, routing: {} };

/**
 * Reads a tree file. A file that does not exist counts as empty, and one that is being written as what it was before. While
 * the service of `scaffoldReplicatorService` runs on it, states, lag and stats are those that the service tells.
 */
export function readTreeManager({ tree, watch = true }: TreeReaderOptions): TreeManager {
  let content = EMPTY;
  let version = '';
  let isWatching = watch;
  const refresh = (): void => {
    version = versionOf(tree);
    content = contentOf(tree) ?? (version === '' ? EMPTY : content);
  };
  const current = (): ReplicatorTreeFile => {
    if (isWatching && versionOf(tree) !== version) refresh();
    return content;
  };
  refresh();
  return {
    listProjects: () => Object.keys(current().replicas),
    getReplicaStatus: (project) => {
      const live = readStatus(tree)?.replicas[project] ?? [];
      return Object.entries(current().replicas[project] ?? {}).map(
        ([name, { role, dialect }]): MonitoredReplica => live.find((known) => known.name === name) ?? { name, role, dialect, lag: null, state: 'unknown' },
      );
    },
    getReadRouting: (project) => current().routing[project] ?? 'round-robin',
    listRules: () => Object.entries(current().rules).map(([name, rule]): MonitoredRule => ({ ...rule, name })),
    getSyncStats: (rule) => readStatus(tree)?.stats[rule],
    refresh,
    stop: () => { isWatching = false; },
  };
}

/** What changes when the file does; empty without a file. */
function versionOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
}

function contentOf(path: string): ReplicatorTreeFile | undefined {
  try {
    const { replicas, rules, routing } = membersOf<unknown>(JSON.parse(readFileSync(path, 'utf8')));
    return { replicas: replicasOf(replicas), rules: objectsOf(rules), routing: membersOf(routing) };
  } catch {
    // It is not there, or whoever writes it has not come to the end.
    return undefined;
  }
}

/** The replicas of each project. One without a role that is known is a slave, as there is no second master. */
function replicasOf(projects: unknown): ReplicatorTreeFile['replicas'] {
  const entries = Object.entries(objectsOf<Record<string, unknown>>(projects)).map(([project, replicas]) => {
    const known = Object.entries(objectsOf<Omit<ReplicaConfig, 'name'>>(replicas));
    return [project, Object.fromEntries(known.map(([name, config]) => [name, { ...config, role: config.role === 'master' ? 'master' : 'slave' }]))];
  });
  return Object.fromEntries(entries) as ReplicatorTreeFile['replicas'];
}

/** The members that are objects; the file may have been written by hand, and what is none cannot be shown. */
function objectsOf<T>(value: unknown): Record<string, T> {
  const entries = Object.entries(membersOf(value)).filter(([, member]) => isObject(member));
  return Object.fromEntries(entries) as Record<string, T>;
}

function membersOf<T>(value: unknown): Record<string, T> {
  return (isObject(value) ? value : {}) as Record<string, T>;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
