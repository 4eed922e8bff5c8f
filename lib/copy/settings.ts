// The options of a copy, checked.
import { configError } from '../errors.js';
import type { CopyOptions, CopyRequest, ExistingRows } from './types.js';

/** The options with their defaults. */
export interface Settings {
  entities: string[];
  batchSize: number | undefined;
  createTables: boolean;
  /** In the words of the core. */
  existing: string;
  truncate: boolean;
  dryRun: boolean;
  onProgress: CopyOptions['onProgress'];
  log: (line: string) => void;
  signal: AbortSignal | undefined;
}

const EXISTING: Readonly<Record<ExistingRows, string>> = {
  overwrite: 'source-wins',
  skip: 'target-wins',
  newer: 'timestamp',
};

const OPTIONS = ['entities', 'batchSize', 'createTables', 'existing', 'truncate', 'dryRun', 'onProgress', 'onLog', 'signal'];
const REQUEST = ['source', 'destinations', 'schemas', 'options', ...OPTIONS];

/**
 * Reads and checks the options.
 *
 * @throws {ReplicaverseError} of kind `Config` naming the option.
 */
export function settingsOf(request: CopyRequest): Settings {
  if (typeof request !== 'object' || request === null) throw configError('copyData: expected {source, destinations}');
  refuseUnknown(request, REQUEST);
  if (request.options !== undefined) refuseUnknown(request.options, OPTIONS);
  const given = Object.entries(request).filter(([, value]) => value !== undefined);
  const options: CopyOptions = { ...request.options, ...Object.fromEntries(given) };
  const existing = EXISTING[options.existing ?? 'overwrite'];
  if (existing === undefined) {
    throw configError(`existing: unknown value "${String(options.existing)}"; known are overwrite, skip, newer`);
  }
  return {
    entities: entitiesOf(options.entities),
    batchSize: batchSizeOf(options.batchSize),
    createTables: flagOf('createTables', options.createTables, true),
    existing,
    truncate: flagOf('truncate', options.truncate, false),
    dryRun: flagOf('dryRun', options.dryRun, false),
    onProgress: functionOf('onProgress', options.onProgress),
    log: functionOf('onLog', options.onLog) ?? ((): void => {}),
    signal: options.signal,
  };
}

function refuseUnknown(given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw configError(`${unknown}: there is no such option; known are ${known.join(', ')}`);
}

function entitiesOf(entities: CopyOptions['entities']): string[] {
  if (entities === undefined || entities === '*') return ['*'];
  const names: readonly unknown[] = Array.isArray(entities) ? entities : [];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && name !== '')) {
    throw configError("entities: expected '*' or a list of at least one name");
  }
  return names as string[];
}

function batchSizeOf(size: unknown): number | undefined {
  if (size === undefined) return undefined;
  const isCount = typeof size === 'number' && Number.isInteger(size) && size > 0 && size < 2 ** 31;
  if (!isCount) throw configError('batchSize: expected a whole number from 1');
  return size;
}

function flagOf(name: string, flag: unknown, fallback: boolean): boolean {
  if (flag === undefined) return fallback;
  if (typeof flag !== 'boolean') throw configError(`${name}: expected true or false`);
  return flag;
}

function functionOf<T>(name: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw configError(`${name}: expected a function`);
  return value;
}
