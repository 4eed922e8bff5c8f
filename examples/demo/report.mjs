// What is printed about finished work: the statistics of a synchronisation, the verdict of a comparison.
import { alignedTable, counted, duration, listed, rate } from './formatting.mjs';

/** @typedef {import('replicaverse').SyncStats} SyncStats */
/** @typedef {import('replicaverse').SyncVerdict} SyncVerdict */
/** @typedef {{key: string, reason: string}} Failure */

/**
 * What happened to one target.
 * @typedef {object} Outcome
 * @property {string} target its name for a person
 * @property {SyncStats} stats
 * @property {SyncVerdict} verdict
 */

const NAMED_FAILURES = 10;

/**
 * The statistics of a synchronisation, with its failures and with the conversions that gave something up.
 * @param {SyncStats} stats
 * @returns {string[]} lines
 */
export function describeSync({ details, duration: milliseconds, errors }) {
  const heading = ['collection', 'created', 'updated', 'deleted', 'skipped', 'errors'];
  const rows = details.map((one) => [one.collection, one.created, one.updated, one.deleted, one.skipped, one.errors]);
  const seen = details.reduce((sum, { created, updated, skipped }) => sum + created + updated + skipped, 0);
  const seconds = milliseconds / 1000;
  return [
    ...alignedTable([heading, ...rows]),
    `  ${counted(seen, 'row')} in ${duration(seconds)} (${rate(seen, seconds)}), ${counted(errors, 'error')}`,
    ...details.flatMap(({ collection, failures, errors: failed }) => describeFailures(collection, failures, failed)),
    ...details.flatMap(({ collection, conversions }) =>
      conversions.map(
        ({ field, reason, rows: converted }) => `  converted ${collection}.${field}: ${reason} (${counted(converted, 'row')})`,
      ),
    ),
  ];
}

/**
 * The outcome of a comparison row by row.
 * @param {SyncVerdict} verdict
 * @returns {string[]} lines
 */
export function describeVerdict({ collections }) {
  const heading = ['collection', 'rows', 'equal', 'different', 'missing', 'extra', 'verdict'];
  const rows = collections.map((one) => {
    const verdict = isEqual(one) ? 'equal' : 'NOT EQUAL';
    return [one.collection, one.rows, one.equal, one.different, one.missing, one.extra, verdict];
  });
  return [
    ...alignedTable([heading, ...rows]),
    ...collections.flatMap(({ collection, failures }) => describeFailures(collection, failures, failures.length)),
  ];
}

/**
 * Whether everything was copied without an error and is equal, and there was something to copy.
 * @param {readonly Outcome[]} outcomes
 * @returns {boolean}
 */
export function isSuccess(outcomes) {
  return outcomes.every(({ stats, verdict }) => stats.errors === 0 && verdict.equal && verdict.collections.length > 0);
}

/**
 * The last line.
 * @param {readonly Outcome[]} outcomes
 * @returns {string} such as `Verdict: 5 rows in 2 tables are equal on MongoDB and SQLite.`
 */
export function verdictLine(outcomes) {
  const sentences = [...grouped(outcomes)].map(([finding, targets]) => `${finding} on ${listed(targets)}`);
  return `Verdict: ${sentences.join('; ')}.`;
}

/**
 * Targets by what was found on them.
 * @param {readonly Outcome[]} outcomes
 */
function grouped(outcomes) {
  /** @type {Map<string, string[]>} */
  const targets = new Map();
  for (const { target, stats, verdict } of outcomes) {
    const text = finding(stats, verdict);
    targets.set(text, [...(targets.get(text) ?? []), target]);
  }
  return targets;
}

/**
 * @param {SyncStats} stats
 * @param {SyncVerdict} verdict
 */
function finding({ errors }, { equal, collections }) {
  if (collections.length === 0) return 'there was NOTHING TO COMPARE';
  const sum = (/** @type {'rows' | 'different' | 'missing' | 'extra'} */ count) =>
    collections.reduce((total, collection) => total + collection[count], 0);
  if (equal && errors === 0) {
    const verb = sum('rows') === 1 ? 'is' : 'are';
    return `${counted(sum('rows'), 'row')} in ${counted(collections.length, 'table')} ${verb} equal`;
  }
  const unequal = collections.filter((collection) => !isEqual(collection)).length;
  const differences = `${sum('different')} different, ${sum('missing')} missing, ${sum('extra')} extra`;
  return `${unequal} of ${counted(collections.length, 'table')} NOT EQUAL (rows: ${differences}), ${counted(errors, 'error')}`;
}

/** @param {SyncVerdict['collections'][number]} collection */
function isEqual({ rows, equal, extra, failures }) {
  return rows === equal && extra === 0 && failures.length === 0;
}

/**
 * @param {string} collection
 * @param {readonly Failure[]} failures the first ones
 * @param {number} count of all
 */
function describeFailures(collection, failures, count) {
  const named = failures.slice(0, NAMED_FAILURES);
  const lines = named.map(({ key, reason }) => `  failed ${collection}${key === '' ? '' : ` ${key}`}: ${reason}`);
  return count > named.length ? [...lines, `  failed ${collection}: and ${count - named.length} more`] : lines;
}
