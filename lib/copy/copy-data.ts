// Copies from one end to others.
import { configError, fromNative, ReplicaverseError } from '../errors.js';
import { native } from '../native.js';
import { getAllSchemas, nativeSchema } from '../orm/index.js';
import type { EntityDeclaration } from '../types/schema.js';
import { type NamedEnd, namedEnd, type OpenedEnd, openEndOf } from './ends.js';
import { entityNames, logOutcome, resultOf } from './result.js';
import { settingsOf, type Settings } from './settings.js';
import type { CopyDestinationFailure, CopyProgress, CopyRequest, CopyResult } from './types.js';

/** What the core tells after a batch. */
interface NativeProgress {
  destination: number;
  collection: string;
  rows: number;
  estimate?: number;
  done: boolean;
}

/**
 * Copies rows between databases and files, from one source to one or more destinations. Rows keep their ids and dates;
 * rows that only a destination has stay there. A row, an entity or a destination that fails is counted and named in the
 * result, and the rest goes on.
 *
 * @throws {ReplicaverseError} when the request is malformed, or the source cannot be opened or read any more.
 */
export async function copyData(request: CopyRequest): Promise<CopyResult> {
  const settings = settingsOf(request);
  const schemas = request.schemas ?? getAllSchemas();
  const sourceEnd = namedEnd(request.source, 'source');
  const ends = withOwnLabels(destinationsOf(request).map((end, place) => namedEnd(end, `destinations[${place}]`)));
  if (settings.truncate && ends.some((end) => isSameDatabase(sourceEnd, end))) {
    throw configError('truncate: a destination is the source itself, which would be emptied');
  }
  settings.log(`▶ Loading from ${sourceEnd.label}...`);
  const source = await openEndOf(sourceEnd, { schemas: [], createTables: false });
  const opened: OpenedEnd[] = [source];
  try {
    const targets = await openTargets(ends, schemas, settings, opened);
    const report = await run(source, targets, schemas, settings);
    const labels = ends.map(({ label }) => label);
    const surroundings = { source: source.label, ends: labels, failures: targets.failures, entityOf: entityNames(schemas) };
    const result = resultOf(report, surroundings);
    logOutcome(result, settings.log);
    return result;
  } finally {
    await Promise.allSettled(opened.map((end) => end.close()));
  }
}

function destinationsOf({ destinations }: CopyRequest): readonly unknown[] {
  if (!Array.isArray(destinations) || destinations.length === 0) {
    throw configError('destinations: expected a list of at least one destination');
  }
  return destinations;
}

/** Whether two ends are written the same; one database may have other names as well. */
function isSameDatabase(source: NamedEnd, destination: NamedEnd): boolean {
  if (source.kind === 'open' && destination.kind === 'open') return source.dialect === destination.dialect;
  const isConnected = source.kind === 'connect' && destination.kind === 'connect';
  return isConnected && source.config.dialect === destination.config.dialect && source.config.uri === destination.config.uri;
}

/** The destinations with labels that tell them apart. */
function withOwnLabels(ends: NamedEnd[]): NamedEnd[] {
  const seen = new Map<string, number>();
  return ends.map((end) => {
    const count = (seen.get(end.label) ?? 0) + 1;
    seen.set(end.label, count);
    return count === 1 ? end : { ...end, label: `${end.label} (${count})` };
  });
}

/** A destination that is open, and its place in the list of all. */
export interface OpenTarget {
  place: number;
  end: OpenedEnd;
}

interface Targets {
  open: OpenTarget[];
  failures: CopyDestinationFailure[];
}

/** Opens the destinations; one that cannot be opened does not keep the others from being filled. */
async function openTargets(ends: NamedEnd[], schemas: readonly EntityDeclaration[], settings: Settings, opened: OpenedEnd[]): Promise<Targets> {
  const targets: Targets = { open: [], failures: [] };
  const opening = { schemas: settings.dryRun ? [] : schemas, createTables: settings.createTables };
  for (const [place, named] of ends.entries()) {
    try {
      const end = await openEndOf(named, opening);
      opened.push(end);
      targets.open.push({ place, end });
    } catch (error) {
      if (!(error instanceof ReplicaverseError) || error.kind === 'Config') throw error;
      targets.failures.push({ destination: named.label, code: error.code, message: error.message });
    }
  }
  return targets;
}

async function run(source: OpenedEnd, targets: Targets, schemas: readonly EntityDeclaration[], settings: Settings): Promise<string> {
  const ends = [source, ...targets.open.map(({ end }) => end)];
  const sessions = ends.flatMap(({ session }) => (session === undefined ? [] : [session]));
  const nativeEnd = ({ label, files, session, tablePrefix, createTables }: OpenedEnd): object => ({
    label,
    tablePrefix,
    createTables: createTables ?? false,
    ...(session === undefined ? { files } : { database: sessions.indexOf(session) }),
  });
  const request = {
    source: nativeEnd(source),
    destinations: targets.open.map(({ end }) => nativeEnd(end)),
    collections: settings.entities,
    batchSize: settings.batchSize,
    existing: settings.existing,
    truncate: settings.truncate,
    dryRun: settings.dryRun,
  };
  const stop = new native.NativeStop();
  const abort = (): void => stop.request();
  if (settings.signal?.aborted) abort();
  settings.signal?.addEventListener('abort', abort);
  const listener = new ProgressListener(settings, targets.open, { stop: abort, entityOf: entityNames(schemas) });
  try {
    const report = await fromNative(() =>
      native.copyData(JSON.stringify(request), sessions, schemas.map(nativeSchema), stop, listener.function),
    );
    listener.rethrow();
    return report;
  } finally {
    settings.signal?.removeEventListener('abort', abort);
  }
}

/** Hands progress on to the application; if that throws, the copy is stopped and fails with what was thrown. */
class ProgressListener {
  readonly function: ((progress: string) => void) | undefined;
  #thrown: { error: unknown } | undefined;

  constructor(
    { onProgress }: Settings,
    targets: readonly OpenTarget[],
    { stop, entityOf }: { stop: () => void; entityOf: (table: string) => string },
  ) {
    if (onProgress === undefined) return;
    this.function = (text) => {
      if (this.#thrown !== undefined) return;
      const { destination, collection, rows, estimate, done } = JSON.parse(text) as NativeProgress;
      const target = targets[destination];
      const progress: CopyProgress = {
        destination: target?.end.label ?? '',
        destinationIndex: target?.place ?? destination,
        entity: entityOf(collection),
        rows,
        ...(estimate === undefined ? {} : { estimate }),
        done,
      };
      try {
        onProgress(progress);
      } catch (error) {
        this.#thrown = { error };
        stop();
      }
    };
  }

  rethrow(): void {
    if (this.#thrown !== undefined) throw this.#thrown.error;
  }
}
