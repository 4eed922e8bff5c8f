// The command line of the benchmark of the cache.
import { parseCommandLine, positiveNumber } from '../command-line.mjs';

export const HELP = `Usage: npm run bench:cache -- [options]

Hits of the cache beside lru-cache with structuredClone, invalidation by tag, and a Zipf trace under writes with a cache that
follows the log.

  --rounds N      turns of each way to read, 5 when not given
  --write         also puts the tables into bench/README.md
  --help          this text`;

/**
 * @param {readonly string[]} args without the program's name
 * @throws {import('../command-line.mjs').UsageError}
 */
export function readOptions(args) {
  const values = parseCommandLine(args, { rounds: { type: 'string', default: '5' }, write: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }, HELP);
  return { help: values.help, rounds: Math.round(positiveNumber('--rounds', values.rounds)), write: values.write };
}
