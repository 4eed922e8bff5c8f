// Files of its own that a project is given, and the name by which they find this package.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Where a service file is written. */
export interface ScaffoldOptions {
  /** The project's folder; the working folder by default. */
  projectDir?: string;
  /** The file, from the project's folder. */
  servicePath?: string;
  /** Whether a file that exists is overwritten. */
  force?: boolean;
  /** Whether nothing is written. */
  dryRun?: boolean;
  /** Whether a unit for systemd is written beside it. */
  systemd?: boolean;
  /** Whether a Dockerfile is written beside it. */
  docker?: boolean;
}

/** What became of a service file. */
export interface ScaffoldResult {
  wrote: boolean;
  /** Where it is, or would be. */
  path: string;
  action: 'created' | 'skipped (exists)' | 'overwritten' | 'dry-run';
  content: string;
  /** What became of the files beside it that were asked for. */
  also?: ScaffoldResult[];
}

/** What is to be written. */
export interface ServiceFile {
  defaultPath: string;
  /** Names under which the package may be installed besides its own. */
  aliases: readonly string[];
  /** The text, given the name of the package. */
  content: (specifier: string) => string;
  /** Whether it is a program of its own. */
  isExecutable?: boolean;
}

const PACKAGE = 'replicaverse';

/** Writes a service file, unless it exists. */
export function scaffoldFile(options: ScaffoldOptions, { defaultPath, aliases, content, isExecutable = true }: ServiceFile): ScaffoldResult {
  const { force = false, dryRun = false } = options;
  const folder = resolve(options.projectDir ?? process.cwd());
  const path = resolve(folder, options.servicePath ?? defaultPath);
  const installed = [PACKAGE, ...aliases].find((name) => existsSync(join(folder, 'node_modules', name)));
  const result = { path, content: content(installed ?? PACKAGE) };
  if (dryRun) return { ...result, wrote: false, action: 'dry-run' };
  if (existsSync(path) && !force) return { ...result, wrote: false, action: 'skipped (exists)' };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, result.content, { mode: isExecutable ? 0o755 : 0o644 });
  // Applications match this word whenever they asked for force, whether there was a file or not.
  return { ...result, wrote: true, action: force ? 'overwritten' : 'created' };
}
