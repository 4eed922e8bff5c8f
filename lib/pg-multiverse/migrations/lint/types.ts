// The types of lint: what is said of migrations before they run.

/** How much a finding matters. */
export type LintSeverity = 'error' | 'warning' | 'notice';

/** A rule. */
export interface LintRule {
  id: string;
  severity: LintSeverity;
  reason: string;
  /** The safe way. */
  remedy: string;
}

/** A rule that a statement breaks. */
export interface LintFinding {
  rule: string;
  severity: LintSeverity;
  version: string;
  file: string | null;
  line: number;
  /** The first words of the statement. */
  statement: string;
  /** The table, column or other object that it is about; may be empty. */
  subject: string;
  /** The strongest lock that the statement takes on a table that others use. */
  lock: string | null;
  reason: string;
  remedy: string;
}

/** SQL that could not be read. */
export interface LintUnseen {
  version: string;
  file: string | null;
  line: number;
  reason: string;
}

/** What was found in migrations. */
export interface LintReport {
  summary: { migrations: number; errors: number; warnings: number; notices: number; ignored: number };
  findings: LintFinding[];
  unseen: LintUnseen[];
}

/** The options of lint. */
export interface LintOptions {
  /** Rules that do not count. */
  ignore?: readonly string[];
}
