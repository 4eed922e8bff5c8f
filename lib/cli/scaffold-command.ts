// The commands that write a service file: their arguments and what they print.
import { Command, CommanderError } from 'commander';
import type { ScaffoldOptions, ScaffoldResult } from '../scaffolding.js';

const PREVIEW_LINES = 30;

/** A command that writes a service file. */
export interface ScaffoldCommand {
  name: string;
  /** What it writes, for its help. */
  writes: string;
  scaffold: (options: ScaffoldOptions) => ScaffoldResult;
  /** Whether it also writes what runs the service on a server. */
  hasUnits?: boolean;
}

interface Options {
  dir?: string;
  path?: string;
  force?: true;
  dryRun?: true;
  systemd?: true;
  docker?: true;
}

/** Runs the command; gives its exit code: 0, 1 if the file cannot be written, 2 for wrong arguments. */
export function scaffoldFromCommandLine({ name, writes, scaffold, hasUnits = false }: ScaffoldCommand, argv: readonly string[]): number {
  const command = new Command(name)
    .description(`Writes ${writes}.`)
    .option('--dir <folder>', "the project's folder; the working folder by default")
    .option('--path <file>', "the file, from the project's folder")
    .option('--force', 'overwrite a file that exists')
    .option('--dry-run', 'print what would be written, and write nothing')
    .exitOverride();
  if (hasUnits) {
    command
      .option('--systemd', 'write a unit for systemd beside it')
      .option('--docker', 'write a Dockerfile beside it');
  }
  try {
    command.parse([...argv], { from: 'user' });
    const { dir, path, force, dryRun, systemd, docker } = command.opts<Options>();
    const { also = [], ...service } = scaffold({
      ...(dir === undefined ? {} : { projectDir: dir }),
      ...(path === undefined ? {} : { servicePath: path }),
      ...(force === undefined ? {} : { force }),
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(systemd === undefined ? {} : { systemd }),
      ...(docker === undefined ? {} : { docker }),
    });
    for (const file of [service, ...also]) print(file);
    return 0;
  } catch (error) {
    // What commander refuses it has printed; help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function print({ action, path, content, wrote }: ScaffoldResult): void {
  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  if (action === 'dry-run') {
    out(`[dry-run] would write ${path} (${content.length} bytes)`);
    out(content.split('\n').slice(0, PREVIEW_LINES).join('\n'));
  } else if (wrote) {
    out(`✓ ${action} : ${path}`);
  } else {
    out(`• ${action} : ${path}`);
    out('  (use --force to overwrite)');
  }
}
