// The command line of the query benchmark.
import { parseArgs } from 'node:util';

export const HELP = `Usage: npm run bench:query -- [options]

Runs queries by PgMultiverse, pg, pg with named statements and postgres, in turns, in one process, on a PostgreSQL of its own.

  --case LIST     only the cases whose names contain one of these, as --case "one row,insert"
  --seconds N     how long a turn lasts, 0.5 when not given
  --rounds N      how many turns each client has, 9 when not given
  --connections N the connections of each client, 10 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/** The command line cannot be understood. */
export class UsageError extends Error {
  name = 'UsageError';
}

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {readonly string[]} cases
 * @property {number} seconds
 * @property {number} rounds
 * @property {number} connections
 * @property {boolean} write
 */

/**
 * @param {readonly string[]} args without the program's name
 * @returns {Options}
 * @throws {UsageError}
 */
export function readOptions(args) {
  const values = parse(args);
  return {
    help: values.help,
    cases: values.case.split(',').map((name) => name.trim()).filter((name) => name !== ''),
    seconds: positive('--seconds', values.seconds),
    rounds: Math.round(positive('--rounds', values.rounds)),
    connections: Math.round(positive('--connections', values.connections)),
    write: values.write,
  };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        case: { type: 'string', default: '' },
        seconds: { type: 'string', default: '0.5' },
        rounds: { type: 'string', default: '9' },
        connections: { type: 'string', default: '10' },
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  }
}

/**
 * @param {string} option
 * @param {string} text
 */
function positive(option, text) {
  const number = Number(text);
  if (!(number > 0)) throw new UsageError(`${option}: expected a number above 0, found ${text}`);
  return number;
}
