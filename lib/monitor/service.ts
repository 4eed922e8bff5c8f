// The dashboard as a process of its own, over the tree file of a project.
import { resolve } from 'node:path';
import { loadEnvironmentFiles } from '../replicator/environment-files.js';
import { startMonitor } from './server.js';
import { readTreeManager } from './tree-manager.js';

/** Settings of the process; what is left out comes from the environment, else has its default. */
export interface MonitorServiceOptions {
  /** `MONITOR_TREE`, `.mostajs/replicator-tree.json`. */
  tree?: string;
  /** `MONITOR_PORT`, 14499. */
  port?: number;
  /** `MONITOR_HOST`, `127.0.0.1`. */
  host?: string;
  /** `MONITOR_TOKEN`. */
  token?: string;
}

/**
 * Shows a tree file until SIGINT or SIGTERM; resolves then. Reads `.mostajs/config.env` and `.env` of the working folder first.
 *
 * @throws {ReplicaverseError} for a setting that is malformed; an error of Node.js when the port is taken.
 */
export async function runMonitorService(options: MonitorServiceOptions = {}): Promise<void> {
  loadEnvironmentFiles([resolve('.mostajs/config.env'), resolve('.env')]);
  const { env } = process;
  const tree = resolve(options.tree ?? env.MONITOR_TREE ?? '.mostajs/replicator-tree.json');
  const token = options.token ?? (env.MONITOR_TOKEN || undefined);
  const host = options.host ?? env.MONITOR_HOST;
  const port = options.port ?? numberOf(env.MONITOR_PORT);
  const pollMs = numberOf(env.MONITOR_POLL_MS);
  const manager = readTreeManager({ tree });
  const monitor = await startMonitor({
    manager,
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(token === undefined ? {} : { authToken: token }),
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  // The token is not printed: logs are read by others.
  process.stdout.write(`[monitor] ${monitor.url}${token === undefined ? '' : ' (add ?token=)'} shows ${tree}\n`);
  await new Promise<void>((end) => {
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
  });
  await monitor.stop();
  manager.stop();
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text);
}
