// The service file that a project is given to run its replication, with what runs it on a server where that is asked for.
import { dirname, join } from 'node:path';
import { scaffoldFile, type ScaffoldOptions, type ScaffoldResult } from '../scaffolding.js';
import { dockerfileText, systemdText } from './service-units.js';

export type { ScaffoldOptions, ScaffoldResult } from '../scaffolding.js';

const SERVICE = { defaultPath: 'services/replicator.mjs', aliases: ['@mostajs/replicator'] };

/**
 * Writes `services/replicator.mjs`, which reconnects the project's tree file and runs its rules, unless it exists. With `systemd` and
 * `docker`, `replicator.service` and `Dockerfile` are written beside it.
 */
export function scaffoldReplicatorService(options: ScaffoldOptions = {}): ScaffoldResult {
  const { systemd = false, docker = false, servicePath = SERVICE.defaultPath } = options;
  const service = scaffoldFile(options, { ...SERVICE, content: serviceText });
  const beside = (name: string, text: string): ScaffoldResult => {
    const defaultPath = join(dirname(servicePath), name);
    return scaffoldFile({ ...options, servicePath: defaultPath }, { ...SERVICE, defaultPath, isExecutable: false, content: () => text });
  };
  const also = [
    ...(systemd ? [beside('replicator.service', systemdText(servicePath))] : []),
    ...(docker ? [beside('Dockerfile', dockerfileText(servicePath))] : []),
  ];
  return also.length === 0 ? service : { ...service, also };
}

function serviceText(specifier: string): string {
  return `#!/usr/bin/env node
// Runs the replication of this project: node services/replicator.mjs, from the project's folder.
//
// It reads .mostajs/config.env and .env, reconnects every replica of the tree file, streams each enabled rule of mode cdc, and
// runs the others at intervals. Of many instances one is active per rule. SIGINT and SIGTERM end it in order: what is under way is
// waited for. With --once it ends after one pass.
//
//   REPLICATOR_TREE          the tree file; .mostajs/replicator-tree.json
//   REPLICATOR_INTERVAL_MS   milliseconds between two passes; 30000
//   REPLICATOR_QUIET         1 logs only warnings and errors
//   REPLICATOR_LOG           json makes the lines of the log JSON
//   REPLICATOR_DRAIN_MS      milliseconds that a run may go on for at the end; 20000
//   REPLICATOR_HEALTH_PORT   the port of GET /health, which answers 200 or 503; none
//   REPLICATOR_HEALTH_HOST   its address; 127.0.0.1
//   REPLICATOR_REWIND        a program that makes an old master a standby again; none by default
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
