// The command line of the benchmark of transactions over clusters.
import { parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:transaction -- [options]

Updates a row on each of two clusters in one transaction, committed by two phases: by PgMultiverse; by hand with the same
statements in the same order on two pinned connections of pg; and by hand with PREPARE TRANSACTION and COMMIT PREPARED alone,
each sent to both clusters at the same time, where nobody notes what was decided.

  --rounds N       turns of each, 7 when not given
  --seconds N      of each turn, 3 when not given
  --in-flight LIST transactions at the same time, 1,10 when not given
  --write          also puts the table into bench/README.md
  --help           this text`;

/**
 * @param {readonly string[]} args without the program's name
 * @throws {import('../command-line.mjs').UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(
    args,
    {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '3' },
      'in-flight': { type: 'string', default: '1,10' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    HELP,
  );
  return {
    help: values.help,
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    seconds: positiveNumber('--seconds', values.seconds),
    lanes: values['in-flight'].split(',').map((text) => Math.round(positiveNumber('--in-flight', text))),
    write: values.write,
  };
}
