// What the command lines of benchmarks share: errors of usage, and numbers.
import { parseArgs } from 'node:util';

/** The command line cannot be understood. */
export class UsageError extends Error {
  name = 'UsageError';
}

/**
 * `parseArgs`, whose errors become those of usage, with the help after them.
 *
 * @template {NonNullable<import('node:util').ParseArgsConfig['options']>} O
 * @param {readonly string[]} args without the program's name
 * @param {O} options
 * @param {string} help
 */
export function parseCommandLine(args, options, help) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
}

/**
 * @param {string} option
 * @param {string} text
 * @throws {UsageError}
 */
export function positiveNumber(option, text) {
  const number = Number(text);
  if (!(number > 0)) throw new UsageError(`${option}: expected a number above 0, found ${text}`);
  return number;
}
