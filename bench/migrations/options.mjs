// The command line of the migrations benchmark.
import { UsageError, parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:migrations -- [options]

Applies the same files of SQL to clusters of PostgreSQL, each file in a transaction of its own: by this library to all clusters
and to one, and by node-pg-migrate to one. Each run is a process of its own, on databases that were just made; time and memory are
those of the process. Rounds take the sides in turns.

  --migrations N  how many files, 1000 when not given
  --clusters N    how many servers, 8 when not given
  --rounds N      how many runs each side has, 3 when not given
  --write         also puts the table into bench/README.md
  --help          this text`;

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {number} migrations
 * @property {number} clusters
 * @property {number} rounds
 * @property {boolean} write
 */

const COMMAND_LINE = /** @type {const} */ ({
  migrations: { type: 'string', default: '1000' },
  clusters: { type: 'string', default: '8' },
  rounds: { type: 'string', default: '3' },
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
  const whole = (/** @type {string} */ option, /** @type {string} */ text) => {
    const number = positiveNumber(option, text);
    if (!Number.isInteger(number)) throw new UsageError(`${option}: expected a whole number, found ${text}`);
    return number;
  };
  return {
    help: values.help,
    migrations: whole('--migrations', values.migrations),
    clusters: whole('--clusters', values.clusters),
    rounds: whole('--rounds', values.rounds),
    write: values.write,
  };
}
