//! What is to be looked at, and what was found.

use serde::{Deserialize, Serialize};

use super::locks::LockMode;
use super::rule::{Rule, Severity};

/// A piece of SQL.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LintText {
    /// The SQL.
    pub sql: String,
    /// The line of its file on which it begins, counted from 1.
    pub line: usize,
    /// Whether something stands in it in place of what is known only when it runs.
    pub is_partial: bool,
}

/// A comment outside of SQL.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LintComment {
    /// Its text.
    pub text: String,
    /// Its line.
    pub line: usize,
}

/// What a migration would run, as far as that is known without running it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LintTarget {
    /// What tells the migration apart.
    pub version: String,
    /// The name of its file.
    pub file: Option<String>,
    /// The schemas it belongs to.
    pub schemas: Vec<String>,
    /// Whether it runs in one transaction.
    pub transaction: bool,
    /// Whether it can be taken back.
    pub reversible: bool,
    /// What applies it, in the order in which it runs.
    pub texts: Vec<LintText>,
    /// Comments around that.
    pub comments: Vec<LintComment>,
}

/// What holds for all migrations.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LintOptions {
    /// Whether the runner itself bounds the wait for locks.
    pub lock_timeout: bool,
    /// Rules that do not count.
    pub ignore: Vec<String>,
}

/// A rule that a statement breaks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The migration's version.
    pub version: String,
    /// The name of its file.
    pub file: Option<String>,
    /// The line on which the statement begins.
    pub line: usize,
    /// The first words of the statement.
    pub statement: String,
    /// The table, column or other object that it is about; may be empty.
    pub subject: String,
    /// The strongest lock that the statement takes on a table that others use.
    pub lock: Option<LockMode>,
    /// Why it matters.
    pub reason: &'static str,
    /// The safe way.
    pub remedy: &'static str,
}

impl Finding {
    /// One line for people.
    pub(crate) fn message(&self) -> String {
        let place = self.file.as_deref().unwrap_or(&self.version);
        let about = if self.subject.is_empty() { &self.statement } else { &self.subject };
        format!("{place}:{} {} ({about}): {} Safe: {}", self.line, self.rule, self.reason, self.remedy)
    }
}

/// SQL that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    /// The migration's version.
    pub version: String,
    /// The name of its file.
    pub file: Option<String>,
    /// The line.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LintReport {
    /// The findings in the order of the migrations and of their lines.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub unseen: Vec<Unseen>,
    /// How many findings comments and options have turned off.
    pub ignored: usize,
}

/// A finding before it is known whether it counts.
pub(super) struct Candidate {
    pub(super) rule: &'static Rule,
    pub(super) subject: String,
    pub(super) lock: Option<LockMode>,
}
