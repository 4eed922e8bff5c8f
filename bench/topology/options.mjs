// The command line of the benchmark of topologies.
import { parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:topology -- [options]

What it costs a ReplicationManager to choose the replica of a read, and to watch its replicas.

  --rounds N      turns of each way to choose, 9 when not given
  --replicas N    replicas that are watched, 100 when not given
  --seconds N     for how long they are watched, 20 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/**
 * @param {readonly string[]} args without the program's name
 * @throws {import('../command-line.mjs').UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(
    args,
    {
      rounds: { type: 'string', default: '9' },
      replicas: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '20' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    HELP,
  );
  return {
    help: values.help,
    rounds: Math.round(positiveNumber('--rounds', values.rounds)),
    replicas: Math.round(positiveNumber('--replicas', values.replicas)),
    seconds: positiveNumber('--seconds', values.seconds),
    write: values.write,
  };
}
