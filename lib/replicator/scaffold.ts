// The service file that a project is given to run its replication.
import { scaffoldFile, type ScaffoldOptions, type ScaffoldResult } from '../scaffolding.js';

export type { ScaffoldOptions, ScaffoldResult } from '../scaffolding.js';

/** Writes `services/replicator.mjs`, which reconnects the project's tree file and runs its rules, unless it exists. */
export function scaffoldReplicatorService(options: ScaffoldOptions = {}): ScaffoldResult {
  return scaffoldFile(options, { defaultPath: 'services/replicator.mjs', aliases: ['@mostajs/replicator'], content: serviceText });
}

function serviceText(specifier: string): string {
  return `#!/usr/bin/env node
// Runs the replication of this project: node services/replicator.mjs, from the project's folder.
//
// It reads .mostajs/config.env and .env, reconnects every replica of the tree file, and runs each enabled rule.
// SIGINT and SIGTERM end it in order: a run under way is waited for. With --once it ends after one pass.
//
//   REPLICATOR_TREE          the tree file; .mostajs/replicator-tree.json
//   REPLICATOR_INTERVAL_MS   milliseconds between two passes; 30000
//   REPLICATOR_QUIET         1 logs only warnings and errors
//   REPLICATOR_LOG           json makes the lines of the log JSON
//   REPLICATOR_DRAIN_MS      milliseconds that a run may go on for at the end; 20000
//   REPLICATOR_<PROJECT>_<REPLICA>_URI   the URI of a replica whose password is masked in the tree file
import { runReplicatorService } from '${specifier}';

try {
  // A run that is broken off must not keep the process.
  process.exit(await runReplicatorService());
} catch (error) {
  console.error('[replicator]', error instanceof Error ? error.message : error);
  process.exit(1);
}
`;
}
