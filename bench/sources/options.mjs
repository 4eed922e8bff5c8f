// The command line of the benchmark of logs that changes are read from.
import { UsageError, parseCommandLine, positiveNumber } from '../command-line.mjs';

/** @typedef {'mongodb' | 'mariadb'} SourceDialect */

/** @type {readonly SourceDialect[]} */
const SOURCES = ['mongodb', 'mariadb'];

export const HELP = `Usage: npm run bench:sources -- [options]

Applies a backlog of changes of MongoDB and of MariaDB to SQLite, and lets a peer read the same changes without applying them; then
has one PostgreSQL followed by one rule and by three, and measures what its readers cost it.

  --source LIST   of mongodb, mariadb; both when not given
  --events N      in the backlog, 100000 when not given
  --rounds N      how often both sides run, in turns; 3 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/** @param {readonly string[]} args without the program's name */
export function readOptions(args) {
  const values = parseCommandLine(
    args,
    {
      source: { type: 'string', default: SOURCES.join(',') },
      events: { type: 'string', default: '100000' },
      rounds: { type: 'string', default: '3' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    HELP,
  );
  return {
    help: values.help,
    sources: values.source.split(',').map(readSource),
    events: Math.round(positiveNumber('--events', values.events)),
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    write: values.write,
  };
}

/** @param {string} name */
function readSource(name) {
  const source = SOURCES.find((known) => known === name.trim());
  if (source === undefined) throw new UsageError(`--source: unknown database ${name}; known are ${SOURCES.join(', ')}`);
  return source;
}
