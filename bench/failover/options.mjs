// The command line of the failover benchmark.
import { parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:failover -- [options]

Kills the primary of a cluster under load, has its standby promoted half a second later, and measures for how long no
read and no write succeeded.

  --rounds N      failovers of each configuration, 5 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/**
 * @param {readonly string[]} args without the program's name
 * @returns {{ help: boolean, rounds: number, write: boolean }}
 * @throws {import('../command-line.mjs').UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(args, { rounds: { type: 'string', default: '5' }, write: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }, HELP);
  return { help: values.help === true, rounds: positiveNumber('--rounds', String(values.rounds)), write: values.write === true };
}
