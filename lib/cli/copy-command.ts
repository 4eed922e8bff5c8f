// What mostajs-copy does with its arguments, and what it prints.
import { CommanderError } from 'commander';
import { copyData } from '../copy/index.js';
import type { CopyRequest, CopyResult } from '../copy/index.js';
import { copyArguments } from './copy-arguments.js';
import { startProgress } from './copy-progress.js';
import { printOutcome } from './copy-outcome.js';

/** The exit code of a command that was interrupted. */
const INTERRUPTED = 130;

/** Runs the command; gives its exit code: 0 if everything was copied, 1 if not, 2 for wrong arguments. */
export async function copyFromCommandLine(argv: readonly string[]): Promise<number> {
  let request: CopyRequest & { quiet: boolean };
  try {
    request = await copyArguments(argv);
  } catch (error) {
    // What commander refuses it has printed; help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`✗ ${messageOf(error)}\n`);
    return 2;
  }
  const { quiet, ...copy } = request;
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const progress = quiet ? undefined : startProgress(process.stdout);
  try {
    const result = await copyData({
      ...copy,
      signal: interrupt.signal,
      ...(progress === undefined ? {} : { onProgress: (step) => progress.update(step) }),
    });
    progress?.stop();
    printOutcome(result, { quiet, dryRun: copy.dryRun === true });
    return exitCode(result);
  } catch (error) {
    progress?.stop();
    process.stderr.write(`✗ ${messageOf(error)}\n`);
    return 1;
  } finally {
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
}

function exitCode({ stopped, totalErrors }: CopyResult): number {
  if (stopped) return INTERRUPTED;
  return totalErrors > 0 ? 1 : 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
