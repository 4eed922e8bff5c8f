// The command line of the query benchmark.
import { parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:query -- [options]

Runs queries by PgMultiverse, pg, pg with named statements and postgres, in turns, in one process, on a PostgreSQL of its own.

  --case LIST     only the cases whose names contain one of these, as --case "one row,insert"
  --seconds N     how long a turn lasts, 0.5 when not given
  --rounds N      how many turns each client has, 9 when not given
  --connections N the connections of each client, 10 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {readonly string[]} cases
 * @property {number} seconds
 * @property {number} rounds
 * @property {number} connections
 * @property {boolean} write
 */

const COMMAND_LINE = /** @type {const} */ ({
  case: { type: 'string', default: '' },
  seconds: { type: 'string', default: '0.5' },
  rounds: { type: 'string', default: '9' },
  connections: { type: 'string', default: '10' },
  write: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
});

/**
 * @param {readonly string[]} args without the program's name
 * @returns {Options}
 * @throws {import('../command-line.mjs').UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(args, COMMAND_LINE, HELP);
  return {
    help: values.help,
    cases: values.case.split(',').map((name) => name.trim()).filter((name) => name !== ''),
    seconds: positiveNumber('--seconds', values.seconds),
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    connections: Math.round(positiveNumber('--connections', values.connections)),
    write: values.write,
  };
}
