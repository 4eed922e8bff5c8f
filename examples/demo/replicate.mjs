// The replication itself: one source, some targets; a rule for each target is run, shown, and compared row by row.
import { describeSync, describeVerdict } from './report.mjs';
import { duration } from './formatting.mjs';
import { startProgress } from './progress.mjs';

/** @typedef {import('replicaverse').ReplicationManager} ReplicationManager */
/** @typedef {import('./report.mjs').Outcome} Outcome */
/** @typedef {import('./undo.mjs').Undo} Undo */

/**
 * A database to replicate from or to.
 * @typedef {object} End
 * @property {string} label for a person
 * @property {'postgres' | 'mongodb' | 'mariadb' | 'sqlite'} dialect
 * @property {string} uri
 */

const SOURCE = 'source';

/**
 * Connects source and targets, each as a project with one master, and adds a rule for each target.
 * @param {ReplicationManager} manager
 * @param {End} source
 * @param {readonly End[]} targets
 * @param {readonly string[]} tables `*` for every one
 * @returns {Promise<void>}
 * @throws {Error} naming the database that cannot be reached
 */
export async function connect(manager, source, targets, tables) {
  await addMaster(manager, SOURCE, source, 'none');
  for (const [index, target] of targets.entries()) {
    await addMaster(manager, projectOf(index), target, 'update');
    manager.addReplicationRule({
      name: ruleOf(index),
      source: SOURCE,
      target: projectOf(index),
      mode: 'snapshot',
      collections: [...tables],
      conflictResolution: 'source-wins',
    });
  }
}

/**
 * Runs the rule of every target one after the other, and compares.
 * @param {ReplicationManager} manager
 * @param {readonly End[]} targets as connected
 * @param {object} surroundings
 * @param {(line: string) => void} surroundings.print
 * @param {Undo} surroundings.undo
 * @returns {Promise<Outcome[]>}
 */
export async function replicate(manager, targets, { print, undo }) {
  /** @type {Outcome[]} */
  const outcomes = [];
  for (const [index, { label }] of targets.entries()) {
    print(`\nReplicating to ${label}`);
    const stats = await syncWithProgress(manager, ruleOf(index), undo);
    describeSync(stats).forEach(print);
    print(`\nComparing ${label} with the source, row by row`);
    const start = performance.now();
    const verdict = await manager.verify(ruleOf(index));
    describeVerdict(verdict).forEach(print);
    print(`  compared in ${duration((performance.now() - start) / 1000)}`);
    outcomes.push({ target: label, stats, verdict });
  }
  return outcomes;
}

/**
 * The project of a target.
 * @param {number} index of the target
 * @returns {string}
 */
export function projectOf(index) {
  return `target-${index + 1}`;
}

/** @param {number} index */
function ruleOf(index) {
  return `to-${projectOf(index)}`;
}

/**
 * @param {ReplicationManager} manager
 * @param {string} project
 * @param {End} end
 * @param {'none' | 'update'} schemaStrategy
 */
async function addMaster(manager, project, { dialect, uri, label }, schemaStrategy) {
  try {
    await manager.addReplica(project, { name: 'main', role: 'master', dialect, uri, schemaStrategy }, []);
  } catch (error) {
    throw new Error(`${label} cannot be used: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/**
 * @param {ReplicationManager} manager
 * @param {string} rule
 * @param {Undo} undo
 */
async function syncWithProgress(manager, rule, undo) {
  const progress = startProgress();
  undo.add(() => progress.stop());
  const listener = (/** @type {import('replicaverse').SyncProgress} */ step) => {
    if (step.rule === rule) progress.update(step);
  };
  manager.on('rule.sync.progress', listener);
  try {
    return await manager.sync(rule);
  } finally {
    manager.off('rule.sync.progress', listener);
    progress.stop();
  }
}
