// What the commands of pgm do. Each gives its exit code.
import { createInterface } from 'node:readline/promises';
import { createFile } from '../../pg-multiverse/migrations/migration-folder.js';
import type { MigrationExecutionOptions, MigrationRollbackOptions, MigrationScope, MigrationState, MigrationStatus, MigrationUpkeepOptions } from '../../pg-multiverse/migrations/types.js';
import type { MigrationManager } from '../../pg-multiverse/migrations/migration-manager.js';
import type { Output } from './output.js';
import { type PgmParts, withClusters, withFiles } from './session.js';

/** The options of `create`. */
export interface CreateOptions {
  schemas?: string[];
  clusters?: string[];
  description?: string;
  sql?: boolean;
}

/** Makes a file. */
export async function create({ config, output }: PgmParts, name: string, { schemas, clusters, ...rest }: CreateOptions): Promise<number> {
  if (schemas === undefined) {
    output.fail('--schemas is required');
    return 1;
  }
  const path = await createFile(config.migrations.migrationsPath ?? 'migrations', name, { ...rest, targetSchemas: schemas, ...(clusters === undefined ? {} : { targetClusters: clusters }) });
  output.line(`✅ Migration created: ${path}`);
  output.json({ path });
  return 0;
}

/** Applies migrations. */
export async function migrate(parts: PgmParts, options: MigrationExecutionOptions): Promise<number> {
  const { output } = parts;
  return withClusters(parts, async ({ manager }) => {
    output.line('🚀 Starting migration process...');
    tellProgress(manager, output);
    const status = await manager.migrate(options);
    return finished(output, status, 'Migration', options.dryRun);
  });
}

/** Takes migrations back; in a terminal only after a confirmation. */
export async function rollback(parts: PgmParts, { yes = false, ...options }: MigrationRollbackOptions & { yes?: boolean }): Promise<number> {
  const { output } = parts;
  return withClusters(parts, async ({ manager }) => {
    const isDry = options.dryRun !== undefined && options.dryRun !== false;
    const asks = !yes && !isDry && process.stdin.isTTY && (process.stdout.isTTY || process.stderr.isTTY);
    if (asks && !(await isConfirmed(manager, output, options))) {
      const message = 'Nothing was taken back';
      output.line(message);
      output.json({ error: { message, code: null, failures: [] } });
      return 1;
    }
    output.line('↩️  Starting rollback process...');
    tellProgress(manager, output);
    const status = await manager.rollback(options);
    return finished(output, status, 'Rollback', options.dryRun);
  });
}

async function isConfirmed(manager: MigrationManager, output: Output, options: MigrationRollbackOptions): Promise<boolean> {
  const { plan = [] } = await manager.rollback({ ...options, dryRun: true });
  // Where the output goes to a file or a program, people are asked beside it.
  const shown = output.isJson || !process.stdout.isTTY ? process.stderr : process.stdout;
  output.plan(plan, shown);
  const terminal = createInterface({ input: process.stdin, output: shown });
  try {
    // A terminal that is asked takes ^C for a key.
    terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    // Whoever ends the input has not agreed either.
    const ended = new Promise<string>((resolve) => void terminal.once('close', () => resolve('')));
    const answer = terminal.question('Take these migrations back? [y/N] ').catch(() => '');
    return /^y(es)?$/i.test((await Promise.race([answer, ended])).trim());
  } finally {
    terminal.close();
  }
}

function tellProgress(manager: MigrationManager, output: Output): void {
  const done = (verb: string) => ({ version, schema, cluster, duration }: { version: string; schema: string; cluster: string; duration: number }) =>
    output.line(`  ${output.paint('green', '✓')} ${verb} ${version} on ${schema}@${cluster} (${duration} ms)`);
  const failed = ({ version, schema, cluster, error }: { version: string; schema: string; cluster: string; error: Error }) =>
    output.fail(`${version} on ${schema}@${cluster}: ${error.message}`);
  manager.on('migrationCompleted', done('applied'));
  manager.on('rollbackCompleted', done('took back'));
  manager.on('migrationFailed', failed);
  manager.on('rollbackFailed', failed);
  manager.on('migrationRetried', ({ version, schema, cluster, attempt }) => output.line(`  … ${version} on ${schema}@${cluster}: attempt ${attempt}`));
  manager.on('lockWaiting', ({ cluster, holder }) => output.line(`  … waiting for cluster ${cluster}, which is locked by ${holder}`));
  manager.on('checkpointCreated', ({ cluster, name, position }) => output.line(`  ✓ restore point ${name} on ${cluster} at ${position}`));
}

function finished(output: Output, status: MigrationStatus, process: 'Migration' | 'Rollback', dryRun: boolean | 'execute' | undefined): number {
  output.line();
  const isDry = dryRun !== undefined && dryRun !== false;
  if (isDry) {
    output.plan(status.plan ?? []);
    output.line();
  }
  output.status(`${process} Status`, status);
  if (output.isVerbose) output.counts(status);
  output.line();
  output.line(isDry ? '🔍 DRY RUN - No changes were applied' : `✅ ${process} process completed`);
  output.json(status);
  return !isDry && status.failedMigrations > 0 ? 1 : 0;
}

/** The options of `status`. */
export interface StatusOptions extends MigrationScope {
  watch?: boolean;
  /** Seconds. */
  interval?: number;
  check?: boolean;
}

/** Tells what is applied and pending; with `check`, that something is pending, or was changed since, is a failure. */
export async function status(parts: PgmParts, { watch = false, interval = 2, check = false, ...scope }: StatusOptions, signal: AbortSignal): Promise<number> {
  return withClusters(parts, async ({ manager }) => {
    for (;;) {
      const found = await manager.getStatus(scope);
      const states = await manager.getStates(scope);
      printStatus(parts.output, found, states, watch);
      const isOver = !watch || (await pause(interval * 1000, signal));
      const isWrong = found.pendingMigrations > 0 || states.some(({ state }) => state === 'changed');
      if (isOver) return check && isWrong ? 1 : 0;
    }
  });
}

function printStatus(output: Output, found: MigrationStatus, states: readonly MigrationState[], clears: boolean): void {
  if (clears && process.stdout.isTTY) output.line('\u001b[2J\u001b[H');
  output.status('Migration Status', found);
  output.counts(found);
  const shown = output.isVerbose ? states : states.filter(({ state }) => state !== 'applied');
  if (shown.length > 0) {
    output.line();
    const rows = shown.map(({ version, schema, cluster, state, executedAt, message }) => [version, schema, cluster, state, executedAt?.toISOString() ?? '', message ?? '']);
    output.table(['VERSION', 'SCHEMA', 'CLUSTER', 'STATE', 'APPLIED', 'MESSAGE'], rows);
  }
  if (found.pendingMigrations > 0 || states.some(({ direction }) => direction !== null)) {
    output.line();
    const halfDone = states.find(({ direction }) => direction !== null);
    const command = halfDone?.direction === 'down' ? 'rollback' : 'migrate';
    output.line(halfDone === undefined ? '💡 Run "pgm migrate" to apply pending migrations' : `💡 Run "pgm ${command} --resume" to continue what stopped half-way`);
  }
  output.json({ ...found, migrations: states });
}

/** Whether it was interrupted, or nobody reads any more what is printed. */
function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isOver: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      process.stdout.off('error', stop);
      resolve(isOver);
    };
    const stop = () => end(true);
    const timer = setTimeout(() => end(false), milliseconds);
    signal.addEventListener('abort', stop);
    process.stdout.on('error', stop);
    if (signal.aborted || !process.stdout.writable) stop();
  });
}

/** Names all migrations, without connecting to anything. */
export async function list(parts: PgmParts): Promise<number> {
  const { output } = parts;
  return withFiles(parts, async (manager) => {
    const migrations = manager.getMigrations();
    output.line(migrations.length === 0 ? 'No migrations found' : '📋 Available Migrations:');
    for (const { version, name, targetSchemas, targetClusters, description, createdAt } of migrations) {
      output.line(`  ${version} - ${name}`);
      if (!output.isVerbose) continue;
      output.line(`    Schemas: ${targetSchemas.join(', ')}`);
      if (targetClusters !== undefined) output.line(`    Clusters: ${targetClusters.join(', ')}`);
      if (description !== undefined && description !== '') output.line(`    Description: ${description}`);
      if (createdAt instanceof Date) output.line(`    Created: ${createdAt.toISOString()}`);
    }
    const shown = migrations.map(({ version, name, description, targetSchemas, targetClusters, dependencies, tags }) => ({ version, name, description, targetSchemas, targetClusters, dependencies, tags }));
    output.json({ migrations: shown });
    return 0;
  });
}

/** Sets records right without running anything. */
export async function setRight(parts: PgmParts, command: 'repair' | 'baseline' | 'mark', options: MigrationUpkeepOptions & { checksums?: boolean }): Promise<number> {
  const { output } = parts;
  return withClusters(parts, async ({ manager }) => {
    const status = await manager[command](options as Parameters<MigrationManager['mark']>[0]);
    output.status('Migration Status', status);
    output.json(status);
    return 0;
  });
}
