// The command line of the entity benchmark.
import { UsageError, parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:entity -- [--dialect sqlite,postgres,mongodb] [options]

Reads and writes single rows, and lists of 10,000, by the entity service of this library and by the driver that
applications use without it, in turns, in one process.

  --dialect LIST  sqlite (peer better-sqlite3), postgres (peer pg), mongodb (peer mongodb); all when not given
  --seconds N     how long a turn lasts, 1 when not given
  --rounds N      how many turns each side has, 5 when not given
  --write         also puts the table into bench/README.md
  --help          this text`;

/** The dialects that have a peer. */
export const DIALECTS = /** @type {const} */ (['sqlite', 'postgres', 'mongodb']);

/** @typedef {typeof DIALECTS[number]} Dialect */

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {readonly Dialect[]} dialects
 * @property {number} seconds
 * @property {number} rounds
 * @property {boolean} write
 */

const COMMAND_LINE = /** @type {const} */ ({
  dialect: { type: 'string', default: DIALECTS.join(',') },
  seconds: { type: 'string', default: '1' },
  rounds: { type: 'string', default: '5' },
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
  const names = values.dialect.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !DIALECTS.some((dialect) => dialect === name));
  if (unknown !== undefined) throw new UsageError(`--dialect: unknown dialect ${unknown}; known are ${DIALECTS.join(', ')}`);
  return {
    help: values.help,
    dialects: DIALECTS.filter((dialect) => names.includes(dialect)),
    seconds: positiveNumber('--seconds', values.seconds),
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    write: values.write,
  };
}
