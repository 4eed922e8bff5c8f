// Lint of migrations: what they would run, held against the rules of the core.
import { native } from '../../../native.js';
import { configError } from '../../../errors.js';
import type { FoundMigration } from '../migration-file.js';
import { recorded } from './recording.js';
import { readScript, type ScriptText } from './script-statements.js';
import { PLACEHOLDER } from './source-tokens.js';
import type { LintFinding, LintOptions, LintReport, LintRule, LintSeverity, LintUnseen } from './types.js';

/** What the core takes of a migration; see `LintTarget` there. */
export interface LintTarget {
  version: string;
  file?: string;
  schemas: string[];
  transaction: boolean;
  reversible: boolean;
  texts: readonly ScriptText[];
  comments: readonly { text: string; line: number }[];
}

interface Prepared {
  target: LintTarget;
  unseen: LintUnseen[];
}

/** All rules there are. */
export function lintRules(): LintRule[] {
  return JSON.parse(native.lintRules()) as LintRule[];
}

/**
 * Looks at migrations in the order of their versions, without a database.
 *
 * @param hasLockTimeout whether the runner bounds the wait for locks.
 * @throws {ReplicaverseError} of kind `Config` for a rule to ignore that there is none of.
 */
export async function lintMigrations(found: readonly FoundMigration[], { ignore = [] }: LintOptions, hasLockTimeout: boolean): Promise<LintReport> {
  const known = new Set(lintRules().map(({ id }) => id));
  const unknown = ignore.find((rule) => !known.has(rule));
  if (unknown !== undefined) throw configError(`there is no lint rule ${unknown}`);
  const ordered = [...found].sort((one, other) => (one.migration.version < other.migration.version ? -1 : 1));
  const prepared: Prepared[] = [];
  for (const each of ordered) prepared.push(await preparedByRunning(each));
  const targets = JSON.stringify(prepared.map(({ target }) => target));
  const report = JSON.parse(native.lintMigrations(targets, JSON.stringify({ lockTimeout: hasLockTimeout, ignore }))) as { findings: LintFinding[]; unseen: LintUnseen[]; ignored: number };
  const count = (severity: LintSeverity) => report.findings.filter((finding) => finding.severity === severity).length;
  return {
    summary: { migrations: found.length, errors: count('error'), warnings: count('warning'), notices: count('notice'), ignored: report.ignored },
    findings: report.findings,
    unseen: [...prepared.flatMap(({ unseen }) => unseen), ...report.unseen],
  };
}

/** What a migration would run, as far as it stands in its source. */
export function targetOf(found: FoundMigration): LintTarget {
  return prepare(found).target;
}

/** The same, by what its function sends where that can be seen without a database. */
async function preparedByRunning(found: FoundMigration): Promise<Prepared> {
  const source = sourceOf(found);
  // Only of a whole file is it known what its functions reach.
  if (source === undefined || found.text === undefined || !source.isClosed) return prepare(found);
  const texts = await recorded(found.migration, found.file);
  if (texts === undefined || texts.length === 0) return prepare(found);
  // The text may begin on a later line than the call.
  const placed = texts.map((text) => ({ ...text, line: source.texts.find(({ sql, line }) => sql === text.sql && line >= text.line)?.line ?? text.line }));
  const { target } = prepare(found);
  return { target: { ...target, texts: placed }, unseen: [] };
}

function prepare(found: FoundMigration): Prepared {
  const { migration, file, sql } = found;
  const { version, targetSchemas, transaction = true } = migration;
  const shared = { version, ...(file === undefined ? {} : { file }), schemas: [...targetSchemas, PLACEHOLDER], transaction };
  const source = sourceOf(found);
  if (sql !== undefined || source === undefined) {
    const texts = [{ sql: sql?.up ?? '', line: 1, isPartial: false }];
    return { target: { ...shared, reversible: sql?.down != null, texts, comments: [] }, unseen: [] };
  }
  const unseen = source.unseen.map((each) => ({ version, file: file ?? null, ...each }));
  return { target: { ...shared, reversible: true, texts: source.texts, comments: source.comments }, unseen };
}

function sourceOf({ migration, text, sql }: FoundMigration): ReturnType<typeof readScript> | undefined {
  return sql === undefined ? readScript(text ?? migration.up.toString()) : undefined;
}
