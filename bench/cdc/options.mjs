// The command line of the benchmark of change capture.
import { UsageError, parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:cdc -- [options]

Applies a backlog of changes of a PostgreSQL to other databases, by this library and by a peer in turns; then measures how soon a
change is visible under load, and the memory that one large transaction takes.

  --target LIST   of postgres, mongodb, mariadb, sqlite; all of them when not given
  --events LIST   sizes of the backlog, 320000,1000000 when not given
  --rounds N      how often both sides run, in turns; 3 when not given
  --latency SECS  how long changes are measured one by one, 20 when not given; 0 for not at all
  --large N       rows of the large transaction, 5000000 when not given; 0 for none
  --write         also puts the tables into bench/README.md
  --help          this text`;

/** @typedef {'postgres' | 'mongodb' | 'mariadb' | 'sqlite'} TargetDialect */

/** @type {readonly TargetDialect[]} */
export const TARGETS = ['postgres', 'mongodb', 'mariadb', 'sqlite'];

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {readonly TargetDialect[]} targets
 * @property {readonly number[]} events
 * @property {number} rounds
 * @property {number} latencySeconds
 * @property {number} largeRows
 * @property {boolean} write
 */

const COMMAND_LINE = /** @type {const} */ ({
  target: { type: 'string', default: TARGETS.join(',') },
  events: { type: 'string', default: '320000,1000000' },
  rounds: { type: 'string', default: '3' },
  latency: { type: 'string', default: '20' },
  large: { type: 'string', default: '5000000' },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
});

/**
 * @param {readonly string[]} args without the program's name
 * @returns {Options}
 * @throws {UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(args, COMMAND_LINE, HELP);
  return {
    help: values.help,
    targets: values.target.split(',').map(readTarget),
    events: values.events.split(',').map((size) => Math.round(positiveNumber('--events', size))),
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    latencySeconds: values.latency === '0' ? 0 : positiveNumber('--latency', values.latency),
    largeRows: values.large === '0' ? 0 : Math.round(positiveNumber('--large', values.large)),
    write: values.write,
  };
}

/**
 * @param {string} name
 * @returns {TargetDialect}
 */
function readTarget(name) {
  const target = TARGETS.find((known) => known === name.trim());
  if (target === undefined) throw new UsageError(`--target: unknown database ${name}; known are ${TARGETS.join(', ')}`);
  return target;
}
