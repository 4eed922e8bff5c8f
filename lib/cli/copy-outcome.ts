// The outcome of a copy as lines for a person.
import type { CopyResult, CopyStats } from '../copy/index.js';

/** How many failures are printed per entity; the result of the library names more. */
const PRINTED_FAILURES = 5;

/** Prints what was copied to stdout, and what was not to stderr. With `quiet` only the latter. */
export function printOutcome(result: CopyResult, { quiet, dryRun }: { quiet: boolean; dryRun: boolean }): void {
  const say = (line: string): void => {
    if (!quiet) process.stdout.write(`${line}\n`);
  };
  const warn = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  for (const destination of result.destinations) {
    say(`${destination}:`);
    for (const stats of result.stats.filter((each) => each.destination === destination)) {
      say(`  ${entityLine(stats, dryRun)}`);
      for (const { field, reason, rows } of stats.conversions) say(`    ${field}: ${reason} (${rows} rows)`);
      for (const { key, reason } of stats.failures.slice(0, PRINTED_FAILURES)) {
        warn(`  ✗ ${stats.entity}${key === '' ? '' : ` ${key}`}: ${reason}`);
      }
      const more = stats.failures.length > 0 ? stats.errors - Math.min(stats.failures.length, PRINTED_FAILURES) : 0;
      if (more > 0) warn(`  ✗ ${stats.entity}: ${more} more`);
    }
    for (const failure of result.failures.filter((failed) => failed.destination === destination)) {
      warn(`✗ ${destination}: ${failure.message}`);
    }
  }
  for (const note of result.notes) say(note);
  const seconds = (result.durationMs / 1000).toFixed(1);
  if (result.stopped) warn(`✗ Interrupted: ${result.totalCopied} rows were copied before`);
  else if (dryRun) say(`✓ Dry run: nothing was written (${result.totalErrors} errors, ${seconds} s)`);
  else say(`${result.totalErrors === 0 ? '✓' : '✗'} Done: ${result.totalCopied} rows to ${result.destinations.length} destination(s) in ${seconds} s (${result.totalErrors} errors)`);
}

function entityLine(stats: CopyStats, dryRun: boolean): string {
  if (dryRun) return `${stats.entity}: ${stats.read} read, ${stats.errors} errors`;
  const deleted = stats.deleted > 0 ? `${stats.deleted} deleted, ` : '';
  return `${stats.entity}: ${stats.read} read, ${deleted}${stats.created} created, ${stats.updated} updated, ${stats.skipped} skipped, ${stats.errors} errors`;
}
