// A tree file seen as a manager, without a connection to any database; with the status of the service that runs on it.
import { readFileSync, statSync } from 'node:fs';
import { readStatus } from '../replicator/status-file.js';
import type { ReplicatorTreeFile, SyncStats } from '../replicator/types.js';
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
    return { ...EMPTY, ...(JSON.parse(readFileSync(path, 'utf8')) as Partial<ReplicatorTreeFile>) };
  } catch {
    // It is not there, or whoever writes it has not come to the end.
    return undefined;
  }
}
