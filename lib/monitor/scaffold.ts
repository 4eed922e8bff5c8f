// The service file that a project is given to show its replication.
import { scaffoldFile, type ScaffoldOptions, type ScaffoldResult } from '../scaffolding.js';

/** Writes `services/monitor.mjs`, which shows the project's tree file as a dashboard, unless it exists. */
export function scaffoldMonitorService(options: ScaffoldOptions = {}): ScaffoldResult {
  return scaffoldFile(options, { defaultPath: 'services/monitor.mjs', aliases: ['@mostajs/replica-monitor'], content: serviceText });
}

function serviceText(specifier: string): string {
  return `#!/usr/bin/env node
// Shows the replication of this project in a browser: node services/monitor.mjs, from the project's folder.
//
// It reads .mostajs/config.env and .env, and the tree file; it connects to no database.
//
//   MONITOR_TREE      the tree file; .mostajs/replicator-tree.json
//   MONITOR_PORT      14499
//   MONITOR_HOST      127.0.0.1; another one needs a token
//   MONITOR_TOKEN     what browsers must bring, as ?token=
//   MONITOR_POLL_MS   milliseconds between two looks at the file; 2000
import { runMonitorService } from '${specifier}';

try {
  await runMonitorService();
} catch (error) {
  console.error('[monitor]', error instanceof Error ? error.message : error);
  process.exit(1);
}
`;
}
