// The file beside a tree file in which running services tell how things are, for those without a connection.
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ReplicaInfo, SyncStats } from './types.js';

/** How old a status may be, in milliseconds, before it counts as that of a service that is gone. */
const FRESH_MS = 15_000;
/** Which of the services that run on a tree file this one is. The pid does not tell: in containers each has the same. */
const INSTANCE = randomUUID();

/** How things are with the services that run on a tree file. */
export interface ServiceStatus {
  /** Milliseconds since 1970. */
  writtenAt: number;
  pid: number;
  /** When each instance wrote last. */
  instances?: Record<string, number>;
  replicas: Record<string, ReplicaInfo[]>;
  stats: Record<string, SyncStats>;
}

interface Reported {
  listProjects(): string[];
  getReplicaStatus(project: string): ReplicaInfo[];
  listRules(): { name: string }[];
  getSyncStats(rule: string): SyncStats | undefined;
}

/**
 * Writes how things are, whole or not at all. Of a rule that this instance does not run, what another one told of it stays.
 *
 * @param runs whether this instance is the one that runs a rule
 */
export function writeStatus(manager: Reported, tree: string, runs: (rule: string) => boolean): void {
  const before = readStatus(tree);
  const stats = manager.listRules().map(({ name }) => {
    const own = manager.getSyncStats(name);
    return [name, runs(name) ? own : (before?.stats[name] ?? own)] as const;
  });
  write(tree, {
    writtenAt: Date.now(),
    pid: process.pid,
    instances: { ...othersIn(before), [INSTANCE]: Date.now() },
    replicas: Object.fromEntries(manager.listProjects().map((project) => [project, manager.getReplicaStatus(project)])),
    stats: Object.fromEntries(stats.flatMap(([name, known]) => (known === undefined ? [] : [[name, known]]))),
  });
}

/** What the services that run on a tree file told last; undefined when none runs. */
export function readStatus(tree: string): ServiceStatus | undefined {
  try {
    const status = JSON.parse(readFileSync(statusFile(tree), 'utf8')) as ServiceStatus;
    return isFresh(status.writtenAt) ? status : undefined;
  } catch {
    // There is none, or it is none of ours.
    return undefined;
  }
}

/** Removes the status as the service ends, unless another instance goes on telling in it. */
export function removeStatus(tree: string): void {
  const status = readStatus(tree);
  const instances = othersIn(status);
  if (status === undefined || Object.keys(instances).length === 0) rmSync(statusFile(tree), { force: true });
  else write(tree, { ...status, instances });
}

/** The other instances that are still there. */
function othersIn(status: ServiceStatus | undefined): Record<string, number> {
  const others = Object.entries(status?.instances ?? {}).filter(([instance, writtenAt]) => instance !== INSTANCE && isFresh(writtenAt));
  return Object.fromEntries(others);
}

function isFresh(writtenAt: number): boolean {
  return Date.now() - writtenAt <= FRESH_MS;
}

function write(tree: string, status: ServiceStatus): void {
  const written = `${statusFile(tree)}.${INSTANCE}`;
  try {
    writeFileSync(written, JSON.stringify(status), { mode: 0o600 });
    renameSync(written, statusFile(tree));
  } catch (error) {
    rmSync(written, { force: true });
    throw error;
  }
}

function statusFile(tree: string): string {
  return `${tree}.status.json`;
}
