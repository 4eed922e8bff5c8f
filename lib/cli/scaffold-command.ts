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
}

/** Runs the command; gives its exit code: 0, 1 if the file cannot be written, 2 for wrong arguments. */
export function scaffoldFromCommandLine({ name, writes, scaffold }: ScaffoldCommand, argv: readonly string[]): number {
  const command = new Command(name)
    .description(`Writes ${writes}.`)
    .option('--dir <folder>', "the project's folder; the working folder by default")
    .option('--path <file>', "the file, from the project's folder")
    .option('--force', 'overwrite a file that exists')
    .option('--dry-run', 'print what would be written, and write nothing')
    .exitOverride();
  try {
    command.parse([...argv], { from: 'user' });
    const { dir, path, force, dryRun } = command.opts<{ dir?: string; path?: string; force?: true; dryRun?: true }>();
    print(
      scaffold({
        ...(dir === undefined ? {} : { projectDir: dir }),
        ...(path === undefined ? {} : { servicePath: path }),
        ...(force === undefined ? {} : { force }),
        ...(dryRun === undefined ? {} : { dryRun }),
      }),
    );
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
