// Runs many seeds of a soak: npm run soak -- --seeds 1000 --target sqlite,mongodb
import { parseArgs } from 'node:util';
import { prepare } from '../../scripts/prepare.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { temporaryFolder } from '../support/temporary-folder.mjs';

const HELP = `Usage: npm run soak -- [options]

Kills processes and servers at random moments under a random load, and looks whether what was promised is kept.

  --of WHAT        capture: the replicating process, its source and its target are killed; both ends must be equal (when not given)
                   two-way: the process that streams a bidirectional rule is killed under writes on both sides, which must be equal
                   topology: the master of a project is killed; its successor must have all that was acknowledged
                   clusters: the same for the primary of a PgMultiverse
                   transactions: a process that transfers between clusters, and each server, are killed at every step of the
                   two-phase commit; the sum over the clusters must stay
  --seeds N        how many, 20 when not given
  --first N        the first seed, 1 when not given
  --source LIST    of capture: of postgres, mariadb, mongodb; postgres when not given
  --target LIST    of capture and two-way: of sqlite, postgres, mariadb, mongodb; all of them when not given
  --pause MS       of capture: the longest time between a batch that was applied and the next kill, 500 when not given
  --kills N        of capture and two-way: in each seed, 4 when not given
  --writes N       of two-way: in each seed, 2000 when not given
  --help           this text`;

const { values } = parseArgs({
  options: {
    of: { type: 'string', default: 'capture' },
    seeds: { type: 'string', default: '20' },
    first: { type: 'string', default: '1' },
    source: { type: 'string', default: 'postgres' },
    target: { type: 'string' },
    pause: { type: 'string', default: '500' },
    kills: { type: 'string', default: '4' },
    writes: { type: 'string', default: '2000' },
    help: { type: 'boolean', default: false },
  },
});

/** @type {Record<string, () => Promise<void>>} */
const SOAKS = { capture: soakCapture, 'two-way': soakTwoWay, topology: soakTopology, clusters: soakClusters, transactions: soakTransactions };
const seeds = Array.from({ length: Number(values.seeds) }, (_, at) => Number(values.first) + at);
const soak = SOAKS[values.of];
if (values.help) {
  console.log(HELP);
} else if (soak === undefined) {
  console.error(`--of: expected one of ${Object.keys(SOAKS).join(', ')}`);
  process.exitCode = 1;
} else {
  await prepare({ log: console.log });
  await soak();
}

async function soakCapture() {
  const { SOURCES } = await import('./sources.mjs');
  const { TARGETS } = await import('./targets.mjs');
  const sources = SOURCES.filter((kind) => values.source.split(',').includes(kind));
  const targets = values.target === undefined ? TARGETS : TARGETS.filter((kind) => values.target?.split(',').includes(kind));
  for (const from of sources) {
    for (const to of targets) await soakPair(from, to);
  }
}

/**
 * @param {import('./sources.mjs').SourceKind} from
 * @param {import('./targets.mjs').TargetKind} to
 */
async function soakPair(from, to) {
  const { startSource } = await import('./sources.mjs');
  const { startTarget } = await import('./targets.mjs');
  const { runSeed } = await import('./seed.mjs');
  const source = await startSource(from);
  const target = await startTarget(to, await temporaryFolder('soak'));
  try {
    const begun = performance.now();
    let committed = 0;
    for (const seed of seeds) {
      const report = await runSeed({ seed, source, target, pauseMs: Number(values.pause), kills: Number(values.kills) });
      committed += report.committed;
      console.log(`${from} to ${to} seed ${String(seed)}: equal after ${String(report.committed)} transactions; killed ${report.kills.join(', ')}`);
    }
    const seconds = Math.round((performance.now() - begun) / 1000);
    console.log(`${from} to ${to}: ${values.seeds} seeds, ${String(committed)} transactions, every one equal, ${String(seconds)} s`);
  } finally {
    await source.remove();
    await target.remove();
  }
}

async function soakTwoWay() {
  const { startPostgres } = await import('../support/index.mjs');
  const { TARGETS, startTarget } = await import('./targets.mjs');
  const { runTwoWay } = await import('./two-way.mjs');
  const chosen = values.target === undefined ? TARGETS : TARGETS.filter((kind) => values.target?.split(',').includes(kind));
  for (const kind of chosen) {
    const source = await startPostgres();
    const target = await startTarget(kind, await temporaryFolder('soak'));
    try {
      for (const seed of seeds) {
        const { writes, conflicts, losers } = await runTwoWay({ seed, source, target, writes: Number(values.writes), kills: Number(values.kills) });
        console.log(`two-way ${kind} seed ${String(seed)}: equal after ${String(writes)} writes, ${String(conflicts)} conflicts kept, ${String(losers)} losers found among them`);
      }
    } finally {
      await source.remove();
      await target.remove();
    }
  }
}

async function soakTopology() {
  const { runFailover } = await import('./topology-failover.mjs');
  for (const seed of seeds) {
    const { acknowledged, refusedMs, newMaster } = await runFailover(seed);
    console.log(`failover seed ${String(seed)}: ${newMaster} has all of ${String(acknowledged)} writes; the first was accepted ${refusedMs.toFixed(0)} ms after the promotion`);
  }
}

async function soakClusters() {
  const { PostgresPair } = await import('../support/postgres-pair.mjs');
  const { runFailover } = await import('./cluster-failover.mjs');
  const pair = await PostgresPair.start();
  try {
    for (const seed of seeds) {
      const { kind, acknowledged, uncertain, movedMs } = await runFailover({ seed, pair });
      console.log(`failover seed ${String(seed)} (${kind}): ${String(acknowledged)} acknowledged writes are there, ${String(uncertain)} uncertain, writes moved ${movedMs.toFixed(0)} ms after the promotion`);
    }
  } finally {
    await pair.remove();
  }
}

/** The test is one of the crate, as only debug builds can be stopped at the steps of the protocol. */
async function soakTransactions() {
  const env = { REPLICAVERSE_SEEDS: values.seeds, REPLICAVERSE_FIRST_SEED: values.first };
  const { status } = await runCommand('cargo', ['test', '-p', 'multiverse', '--test', 'transaction', 'kills::', '--', '--nocapture'], { env });
  if (status !== 0) process.exitCode = 1;
}
