// The commands and options of pgm.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { MigrationUpkeepOptions } from '../../pg-multiverse/migrations/types.js';
import { VERSION } from '../../pg-multiverse/version.js';
import { type CreateOptions, create, list, migrate, rollback, setRight, status, type StatusOptions } from './actions.js';
import { completion } from './completion.js';
import { readConfig } from './config.js';
import { doctor } from './doctor.js';
import { init } from './init.js';
import { lint, type LintCommandOptions } from './lint.js';
import { Output } from './output.js';
import type { PgmParts } from './session.js';
import { checkShards } from './shard.js';

const INTERRUPTED = 130;

interface GlobalOptions {
  config?: string;
  migrations?: string;
  verbose?: boolean;
  json?: boolean;
}

/** What options of commands are called here, and in the library. */
interface ScopeOptions {
  schemas?: string[];
  clusters?: string[];
}

/** Runs the command; gives its exit code: 0 if all went well, 1 if not, 2 for wrong arguments, 130 if interrupted. */
export async function runPgm(argv: readonly string[]): Promise<number> {
  let code = 0;
  const interrupt = new AbortController();
  const interrupted = new Promise<number>((resolve) => {
    const stop = () => {
      interrupt.abort();
      // Whoever waits for the signal ends by himself; what runs on a server is rolled back with its connection.
      setImmediate(() => resolve(INTERRUPTED));
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
  const program = programWith((outcome) => (code = outcome), interrupt.signal);
  const run = program.parseAsync([...argv], { from: 'user' }).then(() => code);
  try {
    return await Promise.race([run, interrupted]);
  } catch (error) {
    // What commander refuses it has printed; help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { json = false } = program.opts<GlobalOptions>();
    report(new Output({ json }), program.args[0] ?? '', error);
    return 1;
  }
}

/** The failures themselves were told as they happened. */
function report(output: Output, command: string, error: unknown): void {
  const { message, code, failures } = error as Error & { code?: string; failures?: { error: Error }[] };
  const titles: Record<string, string> = { migrate: 'Migration failed', rollback: 'Rollback failed', status: 'Failed to get status', create: 'Failed to create migration', list: 'Failed to list migrations', lint: 'Failed to lint migrations' };
  const title = titles[command];
  output.fail(title === undefined ? message : `${title}: ${message}`);
  const told = (failures ?? []).map(({ error: { message: problem }, ...place }) => ({ ...place, message: problem }));
  output.json({ error: { message, code: code ?? null, failures: told } });
}

function programWith(finish: (code: number) => void, signal: AbortSignal): Command {
  const program = new Command('pgm')
    .description('Migrations of PostgreSQL clusters')
    .version(VERSION)
    .option('-c, --config <path>', 'configuration: JSON, JavaScript or TypeScript (default: pgm.config.*)')
    .option('-m, --migrations <path>', 'folder of the migrations')
    .option('-v, --verbose', 'print more')
    .option('--json', 'print one JSON document')
    .exitOverride()
    .addHelpText('after', '\nExamples:\n  pgm create add_orders --schemas sales\n  pgm migrate --config clusters.json --dry-run\n  pgm rollback --steps 2 --schemas sales\n\nExit codes: 0 all went well, 1 something failed, 2 wrong arguments, 130 interrupted.');
  const parts = async (): Promise<PgmParts> => {
    const { config, migrations, ...rest } = program.opts<GlobalOptions>();
    return { config: await readConfig(config, migrations), output: new Output(rest) };
  };
  addMigrationCommands(program, parts, finish);
  addUpkeepCommands(program, parts, finish);
  scoped(program.command('status'))
    .description('tell what is applied and pending')
    .addHelpText('after', examples('pgm status --verbose', 'pgm status --watch --interval 5', 'pgm status --check --json'))
    .option('--watch', 'go on telling until interrupted')
    .option('--interval <seconds>', 'how often, with --watch', positive, 2)
    .option('--check', 'fail if something is pending, or was changed after it was applied')
    .action(async (options: StatusOptions & ScopeOptions) => finish(await status(await parts(), inScope(options), signal)));
  addLintCommand(program, parts, finish, signal);
  program.command('list').description('name all migrations').addHelpText('after', examples('pgm list --verbose')).action(async () => finish(await list(await parts())));
  program.command('doctor').description('look whether the clusters are fit for migrations').addHelpText('after', examples('pgm doctor --config clusters.json')).action(async () => finish(await doctor(await parts())));
  program
    .command('shard')
    .description('look at sharded clusters')
    .command('check')
    .description('count rows by shard, and those that lie on another shard than their key says')
    .addHelpText('after', examples('pgm shard check --clusters orders'))
    .option('--clusters <names>', 'only these clusters, separated by commas', names)
    .action(async (options: { clusters?: string[] }) => finish(await checkShards(await parts(), options)));
  program
    .command('init')
    .description('make a configuration and a folder for migrations')
    .addHelpText('after', examples('pgm init'))
    .option('--force', 'overwrite the configuration')
    .action(async (options: { force?: boolean }) => finish(await init(new Output(program.opts<GlobalOptions>()), options)));
  program
    .command('completion')
    .description('print what a shell needs to complete the commands')
    .addHelpText('after', examples('source <(pgm completion bash)', 'pgm completion fish > ~/.config/fish/completions/pgm.fish'))
    .argument('<shell>', 'bash, zsh or fish')
    .action((shell: string) => finish(completion(program, shell)));
  return program;
}

function addLintCommand(program: Command, parts: () => Promise<PgmParts>, finish: (code: number) => void, signal: AbortSignal): void {
  scoped(program.command('lint'))
    .description('tell what in migrations stops applications or loses rows')
    .argument('[files...]', 'files of migrations; all of the folder when none is named')
    .addOption(new Option('--fail-on <severity>', 'exit with 1 from this severity on').choices(['error', 'warning', 'notice', 'never']).default('error'))
    .option('--ignore <rules>', 'rules that do not count, separated by commas', names)
    .option('--measure', 'run what is pending on a scratch copy of the schema, and tell its locks and times')
    .option('--rules', 'name all rules, with their reasons and the safe ways')
    .addHelpText('after', examples('pgm lint --fail-on warning', 'pgm lint migrations/20260131120000_add_orders.sql --json', 'pgm lint --measure --config clusters.json'))
    .action(async (files: string[], options: LintCommandOptions & ScopeOptions) => finish(await lint(await parts(), files, inScope(options), signal)));
}

function addMigrationCommands(program: Command, parts: () => Promise<PgmParts>, finish: (code: number) => void): void {
  program
    .command('create')
    .description('make a file for a new migration')
    .addHelpText('after', examples("pgm create add_orders --schemas sales,audit --description 'orders of shops'", 'pgm create backfill_totals --schemas sales --clusters eu --sql'))
    .argument('<name>', 'name of the migration')
    .option('-s, --schemas <names>', 'schemas, separated by commas', names)
    .option('--clusters <names>', 'clusters, separated by commas', names)
    .option('-d, --description <text>', 'what it is for')
    .option('--sql', 'plain SQL in place of TypeScript')
    .action(async (name: string, options: CreateOptions) => finish(await create(await parts(), name, options)));
  scoped(program.command('migrate'))
    .description('apply pending migrations')
    .addHelpText('after', examples('pgm migrate --dry-run', 'pgm migrate --target 20260131120000 --schemas sales', 'pgm migrate --parallel --max-parallel 8', 'pgm migrate --resume'))
    .addOption(target('last version to apply'))
    .addOption(dryRun())
    .option('-p, --parallel', 'migrate schemas and clusters side by side')
    .option('--max-parallel <count>', 'how many at one time, with --parallel', positive)
    .option('--continue-on-error', 'go on with others after one has failed')
    .option('--force', 'do not look at dependencies')
    .option('--checkpoint', 'make a restore point first')
    .option('--resume', 'continue migrations that stopped half-way')
    .action(async ({ target: targetVersion, checkpoint: createCheckpoint, ...options }: ScopeOptions & { target?: string; checkpoint?: boolean }) =>
      finish(await migrate(await parts(), defined({ ...inScope(options), targetVersion, createCheckpoint }))),
    );
  scoped(program.command('rollback'))
    .description('take migrations back')
    .addHelpText('after', examples('pgm rollback', 'pgm rollback --target 20260131120000 --dry-run', 'pgm rollback --steps 2 --clusters eu --yes'))
    .addOption(target('version after which all is taken back'))
    .option('-n, --steps <count>', 'how many at each schema (default: 1)', positive)
    .addOption(dryRun())
    .option('-y, --yes', 'do not ask')
    .option('--force', 'leave out migrations that are not there, and take back what others need')
    .option('--resume', 'continue rollbacks that stopped half-way')
    .action(async ({ target: targetVersion, ...options }: ScopeOptions & { target?: string }) => finish(await rollback(await parts(), defined({ ...inScope(options), targetVersion }))));
}

function addUpkeepCommands(program: Command, parts: () => Promise<PgmParts>, finish: (code: number) => void): void {
  type Options = ScopeOptions & Pick<MigrationUpkeepOptions, 'as'> & { checksums?: boolean };
  const as = () => new Option('--as <state>', 'what it is').choices(['applied', 'pending']);
  scoped(program.command('repair'))
    .description('settle migrations that stopped half-way')
    .addHelpText('after', examples('pgm repair 20260131120000 --as applied', 'pgm repair --checksums'))
    .argument('[version]')
    .addOption(as())
    .option('--checksums', 'record the checksums that the migrations have now')
    .action(async (version: string | undefined, options: Options) => finish(await setRight(await parts(), 'repair', defined({ ...inScope(options), version }))));
  scoped(program.command('baseline'))
    .description('record all migrations up to a version as applied, without running them')
    .addHelpText('after', examples('pgm baseline 20260131120000 --clusters eu'))
    .argument('<version>')
    .action(async (version: string, options: Options) => finish(await setRight(await parts(), 'baseline', { ...inScope(options), version })));
  scoped(program.command('mark'))
    .description('record one migration as applied or pending, without running it')
    .addHelpText('after', examples('pgm mark 20260131120000 --as pending --schemas sales'))
    .argument('<version>')
    .addOption(as().makeOptionMandatory())
    .action(async (version: string, options: Options) => finish(await setRight(await parts(), 'mark', { ...inScope(options), version })));
}

function scoped(command: Command): Command {
  return command.option('-s, --schemas <names>', 'only these schemas, separated by commas', names).option('--clusters <names>', 'only these clusters, separated by commas', names);
}

function inScope<O extends ScopeOptions>({ schemas, clusters, ...rest }: O): Omit<O, keyof ScopeOptions> & { targetSchemas?: string[]; targetClusters?: string[] } {
  return { ...rest, ...(schemas === undefined ? {} : { targetSchemas: schemas }), ...(clusters === undefined ? {} : { targetClusters: clusters }) };
}

/** Without what was not given. */
function defined<O extends object>(options: O): { [name in keyof O]?: Exclude<O[name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [name in keyof O]?: Exclude<O[name], undefined> };
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function target(description: string): Option {
  return new Option('-t, --target <version>', description);
}

function dryRun(): Option {
  return new Option('-d, --dry-run [how]', 'tell the plan only; execute runs its SQL and rolls it back').choices(['execute']);
}

/** An empty list would mean all, and is what a variable that is not set makes of an option. */
function names(text: string): string[] {
  const found = text.split(',').map((name) => name.trim()).filter((name) => name !== '');
  if (found.length === 0) throw new InvalidArgumentError('Expected names, separated by commas.');
  return found;
}

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Expected a whole number from 1.');
  return number;
}
