// What came of a copy, from the core's report.
import { completeSchema } from '../orm/registry.js';
import type { EntityDeclaration } from '../types/schema.js';
import type { CopyDestinationFailure, CopyResult, CopyStats } from './types.js';

/** The core's report. */
interface NativeReport {
  destinations: {
    label: string;
    error?: { code: string; message: string };
    collections: (Omit<CopyStats, 'destination' | 'entity' | 'copied' | 'durationMs'> & { collection: string; duration: number })[];
  }[];
  notes: string[];
  stopped: boolean;
  duration: number;
}

/** What the report does not say. */
interface Surroundings {
  source: string;
  ends: string[];
  /** Destinations that could not be opened. */
  failures: CopyDestinationFailure[];
  /** What the rows of a table are called. */
  entityOf: (table: string) => string;
}

/** Tables by the names of their entities; one that is no entity's has its own. */
export function entityNames(schemas: readonly EntityDeclaration[]): (table: string) => string {
  const names = new Map(schemas.map(completeSchema).map(({ name, collection }) => [collection, name]));
  return (table) => names.get(table) ?? table;
}

/** The result that applications see. */
export function resultOf(reportText: string, { source, ends, failures, entityOf }: Surroundings): CopyResult {
  const report = JSON.parse(reportText) as NativeReport;
  const stats = report.destinations.flatMap(({ label, collections }) =>
    collections.map(({ collection, duration, ...counts }) => ({
      destination: label,
      entity: entityOf(collection),
      ...counts,
      copied: counts.created + counts.updated,
      durationMs: duration,
    })),
  );
  const failed = report.destinations.flatMap(({ label, error }) =>
    error === undefined ? [] : [{ destination: label, code: error.code, message: error.message }],
  );
  const all = [...failures, ...failed];
  const sum = (count: (stats: CopyStats) => number): number => stats.reduce((total, each) => total + count(each), 0);
  return {
    source,
    destinations: ends,
    stats,
    failures: all,
    notes: report.notes,
    stopped: report.stopped,
    totalCopied: sum(({ copied }) => copied),
    totalErrors: sum(({ errors }) => errors) + all.length,
    durationMs: report.duration,
  };
}

/** Tells in lines what was done. */
export function logOutcome(result: CopyResult, log: (line: string) => void): void {
  for (const destination of result.destinations) {
    log(`\n▶ Writing to ${destination}...`);
    for (const { entity, copied, errors, durationMs } of result.stats.filter((stats) => stats.destination === destination)) {
      log(`  ${entity} : ${copied} copied, ${errors} errors (${durationMs}ms)`);
    }
    for (const failure of result.failures.filter((failed) => failed.destination === destination)) log(`  ✗ ${failure.message}`);
  }
  const { totalCopied, totalErrors, durationMs, destinations } = result;
  log(`\n✓ Done : ${totalCopied} records → ${destinations.length} destination(s) in ${durationMs}ms (${totalErrors} errors)`);
}
