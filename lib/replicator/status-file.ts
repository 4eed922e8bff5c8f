// The file beside a tree file in which a running service tells how things are, for those without a connection.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ReplicaInfo, SyncStats } from './types.js';

/** How old a status may be, in milliseconds, before it counts as that of a service that is gone. */
const FRESH_MS = 15_000;

/** How things are with a running service. */
export interface ServiceStatus {
  /** Milliseconds since 1970. */
  writtenAt: number;
  pid: number;
  replicas: Record<string, ReplicaInfo[]>;
  stats: Record<string, SyncStats>;
}

interface Reported {
  listProjects(): string[];
  getReplicaStatus(project: string): ReplicaInfo[];
  listRules(): { name: string }[];
  getSyncStats(rule: string): SyncStats | undefined;
}

/** Writes how things are, whole or not at all. */
export function writeStatus(manager: Reported, tree: string): void {
  const stats = manager.listRules().map(({ name }) => [name, manager.getSyncStats(name)] as const);
  const status: ServiceStatus = {
    writtenAt: Date.now(),
    pid: process.pid,
    replicas: Object.fromEntries(manager.listProjects().map((project) => [project, manager.getReplicaStatus(project)])),
    stats: Object.fromEntries(stats.flatMap(([name, known]) => (known === undefined ? [] : [[name, known]]))),
  };
  const written = `${statusFile(tree)}.${process.pid}`;
  writeFileSync(written, JSON.stringify(status), { mode: 0o600 });
  renameSync(written, statusFile(tree));
}

/** What the service that runs on a tree file told last; undefined when none runs. */
export function readStatus(tree: string): ServiceStatus | undefined {
  try {
    const status = JSON.parse(readFileSync(statusFile(tree), 'utf8')) as ServiceStatus;
    return Date.now() - status.writtenAt <= FRESH_MS ? status : undefined;
  } catch {
    // There is none, or it is none of ours.
    return undefined;
  }
}

/** Removes the status of a service that ends. */
export function removeStatus(tree: string): void {
  rmSync(statusFile(tree), { force: true });
}

function statusFile(tree: string): string {
  return `${tree}.status.json`;
}
