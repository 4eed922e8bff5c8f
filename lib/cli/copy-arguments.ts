// The arguments of mostajs-copy.
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { namedEnd } from '../copy/ends.js';
import type { CopyEnd, CopyRequest, ExistingRows } from '../copy/index.js';
import { configError } from '../errors.js';
import type { EntityDeclaration } from '../types/schema.js';
import { withCommandFiles } from './command-file.js';

/** Where schemas are looked for when no file is named. */
const SCHEMA_FILES = ['.mostajs/generated/entities.json', 'entities.json'];

interface Options {
  from?: string;
  to: string[];
  source?: string;
  sourceDialect?: string;
  sourceUri?: string;
  sourceFile?: string;
  dest: string[];
  destDialect: string[];
  destUri: string[];
  destFile: string[];
  entities?: string[];
  batch?: number;
  batchSize?: number;
  createTables: boolean;
  existing: ExistingRows;
  truncate: boolean;
  schemas?: string;
  delimiter?: string;
  key?: string[];
  dryRun: boolean;
  quiet: boolean;
}

/**
 * Reads the arguments.
 *
 * @throws {CommanderError} for arguments that do not exist, after printing what is wrong; {ReplicaverseError} of kind
 *   `Config` for those that make no copy.
 */
export async function copyArguments(argv: readonly string[]): Promise<CopyRequest & { quiet: boolean }> {
  const command = copyCommand();
  command.parse(withCommandFiles(argv), { from: 'user' });
  const options = command.opts<Options>();
  const schemas = schemasOf(options);
  return {
    source: sourceOf(options),
    destinations: destinationsOf(options),
    entities: options.entities ?? '*',
    batchSize: options.batch ?? options.batchSize,
    createTables: options.createTables,
    existing: options.existing,
    truncate: options.truncate,
    dryRun: options.dryRun,
    quiet: options.quiet,
    schemas,
  };
}

function copyCommand(): Command {
  const several = (value: string, before: string[]): string[] => [...before, value];
  const hidden = (flags: string): Option => new Option(flags).hideHelp();
  return new Command('mostajs-copy')
    .description('Copies rows between databases, CSV, JSON and SQL files. A row that exists is overwritten; rows that only a destination has stay.')
    .option('--from <end>', 'the source: a URI, a file, or format:folder such as csv:export')
    .option('--to <end>', 'a destination; may be given several times', several, [])
    .option('--entities <names>', 'entities or tables, separated by commas (default: all)', namesOf)
    .option('--batch <rows>', 'rows of a batch at the most', wholeNumber)
    .option('--create-tables', 'make tables and columns that a destination lacks (the default)', true)
    .option('--no-create-tables', 'fail where a destination lacks a table or column')
    .addOption(new Option('--existing <what>', 'what happens to rows that a destination has').choices(['overwrite', 'skip', 'newer']).default('overwrite'))
    .option('--truncate', 'empty the tables of the destinations first', false)
    .option('--schemas <file>', `a JSON list of entity schemas (default: ${SCHEMA_FILES.join(' or ')}, if there is one)`)
    .option('--delimiter <character>', 'what stands between the cells of CSV files')
    .option('--key <columns>', 'the primary key of the files that are read, separated by commas (default: id)', namesOf)
    .option('--dry-run', 'read and convert everything, and write nothing', false)
    .option('--quiet', 'print nothing but what fails', false)
    .option('--commandFile <file>', 'read arguments from a file first: any number per line, # begins a comment')
    .addOption(hidden('--source <type>'))
    .addOption(hidden('--source-dialect <name>'))
    .addOption(hidden('--source-uri <uri>'))
    .addOption(hidden('--source-file <path>'))
    .addOption(hidden('--dest <type>').argParser(several).default([]))
    .addOption(hidden('--dest-dialect <name>').argParser(several).default([]))
    .addOption(hidden('--dest-uri <uri>').argParser(several).default([]))
    .addOption(hidden('--dest-file <path>').argParser(several).default([]))
    .addOption(hidden('--batch-size <rows>').argParser(wholeNumber))
    .addHelpText('after', '\nExit codes: 0 everything was copied, 1 something was not, 2 wrong arguments, 130 interrupted.')
    .exitOverride();
}

function namesOf(text: string): string[] {
  return text.split(',').map((name) => name.trim()).filter((name) => name !== '');
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return number;
}

function sourceOf(options: Options): CopyEnd {
  if (options.from !== undefined) return withFileOptions(options.from, '--from', options);
  if (options.source === undefined) throw configError('--from: a source is required');
  const { source: type, sourceDialect: dialect, sourceUri: uri, sourceFile: file } = options;
  refuseUri(type, '--source', '--from');
  return { type, dialect, uri, file } as unknown as CopyEnd;
}

function refuseUri(type: string, option: string, rightOne: string): void {
  if (type.includes('://')) throw configError(`${option} takes a type, which is db, csv, json or sql; a URI goes with ${rightOne}`);
}

/** Types take dialects, URIs and files in their order. */
function destinationsOf(options: Options): CopyEnd[] {
  const ends: CopyEnd[] = options.to.map((end) => withFileOptions(end, '--to', { delimiter: options.delimiter }));
  let databases = 0;
  let files = 0;
  for (const type of options.dest) {
    refuseUri(type, '--dest', '--to');
    if (type === 'db') {
      const [dialect, uri] = [options.destDialect[databases] ?? 'sqlite', options.destUri[databases] ?? './copy.sqlite'];
      databases += 1;
      ends.push({ type, dialect, uri } as unknown as CopyEnd);
    } else {
      ends.push({ type, file: options.destFile[files] ?? `./${type}-output` } as unknown as CopyEnd);
      files += 1;
    }
  }
  if (ends.length === 0) throw configError('--to: at least one destination is required');
  return ends;
}

/** An end with the options of files, where it is one. */
function withFileOptions(end: string, role: string, { delimiter, key }: Pick<Options, 'delimiter' | 'key'>): CopyEnd {
  const named = namedEnd(end, role);
  if (named.kind !== 'files') return end;
  const separator = named.file.format === 'csv' && delimiter !== undefined ? { delimiter: delimiter === '\\t' ? '\t' : delimiter } : {};
  return { ...named.file, ...separator, ...(key === undefined ? {} : { key }) };
}

function schemasOf({ schemas }: Options): EntityDeclaration[] {
  const texts = schemas === undefined ? SCHEMA_FILES.map(textIfThere) : [{ file: schemas, text: readFileSync(schemas, 'utf8') }];
  const found = texts.find((each) => each !== undefined);
  if (found === undefined) return [];
  let list: unknown;
  try {
    list = JSON.parse(found.text);
  } catch (error) {
    throw configError(`${found.file}: no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!Array.isArray(list)) throw configError(`${found.file}: expected a list of entity schemas`);
  return list as EntityDeclaration[];
}

function textIfThere(file: string): { file: string; text: string } | undefined {
  try {
    return { file, text: readFileSync(file, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
