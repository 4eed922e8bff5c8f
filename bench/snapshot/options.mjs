// The benchmark's command line.
import { UsageError, parseCommandLine } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:snapshot -- [--pair pg-pg,pg-mongo,pg-mariadb,pg-sqlite] [options]
       npm run bench:snapshot -- --source URI --target URI [options]

Copies a table of 10 mixed columns from database to database, by this library and by a peer in turns, and prints
how fast both were and how much memory the library took. Without --source it starts servers of its own.

  --pair LIST     pairs of own servers: pg-pg, pg-mongo, pg-mariadb, pg-sqlite; all of them when not given
  --source URI    a database of yours, in which the table is made and from which it is removed in the end
  --target URI    the same; a SQLite file must not exist yet
  --rows LIST     sizes of the table, 100000,1000000 when not given
  --rounds N      how often both sides run, in turns; 3 when not given
  --json          prints everything measured as JSON instead of a table
  --write         also puts the table into bench/README.md
  --help          this text

URI is postgresql://…, mongodb://…, mariadb://…, mysql://…, or the path of a SQLite file.`;

/** The pairs that run on servers of the benchmark's own. */
export const OWN_PAIRS = /** @type {const} */ (['pg-pg', 'pg-mongo', 'pg-mariadb', 'pg-sqlite']);

/** @typedef {typeof OWN_PAIRS[number]} OwnPair */

const COMMAND_LINE = /** @type {const} */ ({
  help: { type: 'boolean', default: false },
  pair: { type: 'string' },
  source: { type: 'string' },
  target: { type: 'string' },
  rows: { type: 'string', default: '100000,1000000' },
  rounds: { type: 'string', default: '3' },
  json: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
});

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {readonly OwnPair[]} pairs of own servers; none when `uris` is given
 * @property {{source: string, target: string} | undefined} uris databases of the user's own
 * @property {readonly number[]} rows
 * @property {number} rounds
 * @property {boolean} json
 * @property {boolean} write
 */

/**
 * @param {readonly string[]} args without the program's name
 * @returns {Options}
 * @throws {UsageError}
 */
export function readOptions(args) {
  const { help, pair, source, target, rows, rounds, json, write } = parseCommandLine(args, COMMAND_LINE, HELP);
  if ((source === undefined) !== (target === undefined)) throw new UsageError('--source and --target belong together');
  if (source !== undefined && pair !== undefined) throw new UsageError('--pair is for own servers, --source and --target for yours');
  return {
    help,
    pairs: source === undefined ? readPairs(pair) : [],
    uris: source === undefined || target === undefined ? undefined : { source, target },
    rows: list(rows).map((text) => readCount('--rows', text)),
    rounds: readCount('--rounds', rounds),
    json,
    write,
  };
}

/**
 * @param {string | undefined} text
 * @returns {readonly OwnPair[]}
 */
function readPairs(text) {
  if (text === undefined) return OWN_PAIRS;
  return list(text).map((name) => {
    const known = OWN_PAIRS.find((pair) => pair === name);
    if (known === undefined) throw new UsageError(`--pair: there is no pair "${name}", only ${OWN_PAIRS.join(', ')}`);
    return known;
  });
}

/** @param {string} text */
function list(text) {
  return [...new Set(text.split(',').map((item) => item.trim()))];
}

/**
 * @param {string} option
 * @param {string} text
 */
function readCount(option, text) {
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`${option}: "${text}" is not a positive whole number`);
  return Number(text);
}
