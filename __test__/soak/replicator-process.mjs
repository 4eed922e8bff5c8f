// A process that streams a rule until it is killed, and writes a dot for each batch that it has applied.
import { setTimeout as delay } from 'node:timers/promises';
import { ReplicationManager } from 'replicaverse';

/**
 * @typedef {import('replicaverse').ReplicaConfig['dialect']} Dialect
 * @typedef {{source: {dialect: Dialect, uri: string, collections: string[]}, target: {dialect: Dialect, uri: string}, rule?: import('replicaverse').ReplicationRuleConfig}} Ends
 */

const { source, target, rule } = /** @type {Ends} */ (JSON.parse(process.argv[2] ?? ''));

const manager = new ReplicationManager();
manager.on('error', (error) => {
  process.stderr.write(`${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n`);
});
manager.on('state', ({ state, reason }) => {
  process.stderr.write(`state ${state} ${reason ?? ''}\n`);
});
manager.on('batch', () => {
  process.stdout.write('.');
});
await connect('source', source.dialect, source.uri);
await connect('target', target.dialect, target.uri);
manager.addReplicationRule(rule ?? { name: 'soak', source: 'source', target: 'target', mode: 'cdc', collections: source.collections });
for (;;) {
  try {
    await manager.start('soak');
    break;
  } catch (error) {
    process.stderr.write(`start: ${String(error)}\n`);
    await delay(200);
  }
}

/**
 * A server that was killed may not be back yet.
 * @param {string} project
 * @param {import('replicaverse').ReplicaConfig['dialect']} dialect
 * @param {string} uri
 */
async function connect(project, dialect, uri) {
  for (;;) {
    try {
      await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri });
      return;
    } catch (error) {
      process.stderr.write(`${project}: ${String(error)}\n`);
      await manager.removeReplica(project, 'm').catch(() => undefined);
      await delay(200);
    }
  }
}
