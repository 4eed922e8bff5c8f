// The replicas of a tree file brought back to life, with the secrets that the file does not hold.
import { readFileSync } from 'node:fs';
import { configError } from '../errors.js';
import type { ReplicaConfig, ReplicaInfo, ReplicatorTreeFile } from './types.js';

/** What became of the replicas of a tree file. */
export interface TreeConnection {
  /** Replicas that were added and are connected. */
  connected: { project: string; name: string }[];
  /** Replicas that could not be connected, and why. */
  failed: { project: string; name: string; error: unknown }[];
}

interface Replicas {
  addReplica(project: string, config: ReplicaConfig): Promise<void>;
  getReplicaStatus(project: string): ReplicaInfo[];
}

/** Adds the replicas of a tree file to a manager, unless it has them. One that fails does not keep the others from it. */
export async function connectTree(manager: Replicas, path: string): Promise<TreeConnection> {
  const tree = JSON.parse(readFileSync(path, 'utf8')) as Partial<ReplicatorTreeFile>;
  const outcome: TreeConnection = { connected: [], failed: [] };
  for (const [project, replicas] of Object.entries(tree.replicas ?? {})) {
    for (const [name, entry] of Object.entries(replicas)) {
      if (manager.getReplicaStatus(project).some((known) => known.name === name)) continue;
      try {
        if (!hasUri(entry)) throw configError(`replica "${name}" of project "${project}": expected an object with a text "uri"`);
        await manager.addReplica(project, { ...entry, name, uri: completeUri(project, name, entry.uri) });
        outcome.connected.push({ project, name });
      } catch (error) {
        outcome.failed.push({ project, name, error });
      }
    }
  }
  return outcome;
}

/** Whether an entry, which somebody may have written by hand, says where the replica is. */
function hasUri(entry: unknown): entry is { uri: string } {
  return typeof entry === 'object' && entry !== null && 'uri' in entry && typeof entry.uri === 'string';
}

/**
 * A URI with what stands in the environment: whole for one whose password is masked, by name for `${NAME}`.
 *
 * @throws {ReplicaverseError} of kind `Config` naming the variable that is missing.
 */
export function completeUri(project: string, name: string, uri: string, environment: NodeJS.ProcessEnv = process.env): string {
  const variable = (wanted: string): string => {
    const value = environment[wanted];
    if (value === undefined || value === '') throw configError(`replica "${name}" of project "${project}": the variable ${wanted} is not set`);
    return value;
  };
  if (isMasked(uri)) return variable(uriVariable(project, name));
  return uri.replaceAll(/\$\{(?<variable>\w+)\}/g, (_, wanted: string) => variable(wanted));
}

/** The variable that holds the whole URI of a replica. */
export function uriVariable(project: string, name: string): string {
  const part = (text: string): string => text.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  return `REPLICATOR_${part(project)}_${part(name)}_URI`;
}

function isMasked(uri: string): boolean {
  return /:\*\*\*@|=\s*\*\*\*(?:&|\s|$)/.test(uri);
}
