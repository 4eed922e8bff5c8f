// `pgm lint`: what in migrations stops applications or loses rows, before they run; measured on a scratch copy if asked.
import { resolve } from 'node:path';
import { configError } from '../../errors.js';
import { lintMigrations, lintRules } from '../../pg-multiverse/migrations/lint/linting.js';
import type { LintFinding, LintReport, LintSeverity } from '../../pg-multiverse/migrations/lint/types.js';
import { type FoundMigration, loadMigration, moduleLoader } from '../../pg-multiverse/migrations/migration-file.js';
import { loadFolder } from '../../pg-multiverse/migrations/migration-folder.js';
import { measure, type MeasureReport } from '../../pg-multiverse/migrations/measure/measuring.js';
import type { MigrationScope } from '../../pg-multiverse/migrations/types.js';
import type { Output } from './output.js';
import { loggerOf, type PgmParts, withClusters } from './session.js';

/** The options of `lint`. */
export interface LintCommandOptions extends MigrationScope {
  ignore?: string[];
  /** From which severity on the command fails. */
  failOn: LintSeverity | 'never';
  rules?: boolean;
  measure?: boolean;
}

const COLOURS = { error: 'red', warning: 'yellow', notice: 'dim' } as const;
const SEVERITIES = ['notice', 'warning', 'error'] as const;

/** Lints the files, or all of the folder. Fails if something at least as severe as `failOn` was found. */
export async function lint(parts: PgmParts, files: readonly string[], options: LintCommandOptions, signal: AbortSignal): Promise<number> {
  const { config, output } = parts;
  if (options.rules === true) return listRules(output);
  const found = await load(parts, files);
  const report = await lintMigrations(found, options.ignore === undefined ? {} : { ignore: options.ignore }, config.migrations.ddlLockTimeout !== undefined);
  const measured = options.measure === true ? await measurePending(parts, found, options, signal) : undefined;
  printFindings(output, report);
  if (measured !== undefined) printMeasured(output, measured);
  printSummary(output, report);
  output.json({ ...report, ...(measured === undefined ? {} : { measured }) });
  return exitCode(report, options.failOn);
}

async function load({ config, output }: PgmParts, files: readonly string[]): Promise<FoundMigration[]> {
  if (files.length === 0) return loadFolder(resolve(config.migrations.migrationsPath ?? 'migrations'), loggerOf(output));
  const loader = await moduleLoader();
  const found: FoundMigration[] = [];
  for (const file of files) {
    const migration = await loadMigration(resolve(file), loader);
    if (migration === undefined) throw configError(`${file} does not export a migration`);
    found.push(migration);
  }
  return found;
}

function listRules(output: Output): number {
  const rules = lintRules();
  for (const { id, severity, reason, remedy } of rules) {
    output.line(`${output.paint('bold', id)} (${severity})`);
    output.line(`  ${reason}`);
    output.line(`  Safe: ${remedy}`);
  }
  output.json({ rules });
  return 0;
}

function exitCode({ findings }: LintReport, failOn: LintSeverity | 'never'): number {
  if (failOn === 'never') return 0;
  const least = SEVERITIES.indexOf(failOn);
  return findings.some(({ severity }) => SEVERITIES.indexOf(severity) >= least) ? 1 : 0;
}

function printFindings(output: Output, { findings, unseen }: LintReport): void {
  let last: string | undefined;
  for (const finding of findings) {
    const place = finding.file ?? finding.version;
    if (place !== last) output.line(`${last === undefined ? '' : '\n'}${output.paint('bold', place)}`);
    last = place;
    printFinding(output, finding);
  }
  if (unseen.length > 0) output.line(`${last === undefined ? '' : '\n'}${output.paint('bold', 'Not seen:')}`);
  for (const { file, version, line, reason } of unseen) output.line(`  ${file ?? version}:${line}  ${reason}`);
}

function printFinding(output: Output, { line, severity, rule, subject, statement, lock, reason, remedy }: LintFinding): void {
  const about = subject === '' ? statement : subject;
  const locked = lock === null ? '' : `, ${lock}`;
  output.line(`  ${line}  ${output.paint(COLOURS[severity], severity)}  ${rule}  ${about}${locked}`);
  output.line(`     ${reason}`);
  output.line(`     ${output.paint('dim', `Safe: ${remedy}`)}`);
}

function printSummary(output: Output, { summary: { migrations, errors, warnings, notices, ignored }, unseen }: LintReport): void {
  const sign = errors + warnings > 0 ? '⚠️ ' : '✅';
  output.line();
  output.line(`${sign} ${migrations} migrations: ${errors} errors, ${warnings} warnings, ${notices} notices, ${ignored} ignored, ${unseen.length} not seen`);
}

async function measurePending(parts: PgmParts, found: readonly FoundMigration[], scope: MigrationScope, signal: AbortSignal): Promise<MeasureReport> {
  const { config } = parts;
  if (Object.keys(config.clusters).length === 0) throw configError('--measure needs clusters: name them by --config');
  const wanted = new Set(found.map(({ migration }) => migration.version));
  const pending = await withClusters(parts, async ({ manager }) => {
    const { targetSchemas, targetClusters } = scope;
    const states = await manager.getStates({ ...(targetSchemas === undefined ? {} : { targetSchemas }), ...(targetClusters === undefined ? {} : { targetClusters }) });
    return states.filter(({ state }) => state === 'pending' || state === 'failed');
  });
  const all = await loadFolder(resolve(config.migrations.migrationsPath ?? 'migrations'), loggerOf(parts.output));
  const last = [...wanted].sort().at(-1) ?? '';
  // Earlier ones that are pending too run before, as they would.
  const needed = pending.filter(({ version }) => version <= last).sort((one, other) => (one.version < other.version ? -1 : 1));
  const report = await measure(config.clusters, all, needed, signal);
  const isWanted = ({ version }: { version: string }) => wanted.has(version);
  return { statements: report.statements.filter(isWanted), unmeasured: report.unmeasured.filter(isWanted) };
}

function printMeasured(output: Output, { statements, unmeasured }: MeasureReport): void {
  output.line(`\n${output.paint('bold', 'Measured on a scratch copy without rows:')}`);
  const rows = statements.flatMap(({ version, schema, cluster, line, statement, milliseconds, locks }) => {
    const place = [version, `${schema}@${cluster}`, line === null ? '' : String(line), statement.slice(0, 48), String(milliseconds)];
    const shown = locks.filter(({ blocks }) => blocks !== 'nothing');
    if (shown.length === 0) return [[...place, 'none that blocks', '']];
    return shown.map(({ relation, mode, blocks }) => [...place, `${relation} ${mode}`, blocks]);
  });
  output.table(['VERSION', 'PLACE', 'LINE', 'STATEMENT', 'MS', 'LOCK', 'BLOCKS'], rows);
  for (const { version, schema, cluster, reason } of unmeasured) output.line(`  ${version} on ${schema}@${cluster} was not measured: ${reason}`);
}
