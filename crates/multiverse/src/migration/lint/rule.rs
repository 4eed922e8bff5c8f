//! What a rule is: what it is called, how much it matters, why, and what to do instead.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Hurts under some load, or with some data.
    Warning,
    /// Stops applications, or loses something.
    Error,
}

/// A rule. Its texts are written for whoever reads a finding.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What it is called, also in comments that turn it off.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Why.
    pub reason: &'static str,
    /// The safe way.
    pub remedy: &'static str,
}

impl Rule {
    pub(super) const fn error(id: &'static str, reason: &'static str, remedy: &'static str) -> Self {
        Self { id, severity: Severity::Error, reason, remedy }
    }

    pub(super) const fn warning(id: &'static str, reason: &'static str, remedy: &'static str) -> Self {
        Self { id, severity: Severity::Warning, reason, remedy }
    }

    pub(super) const fn notice(id: &'static str, reason: &'static str, remedy: &'static str) -> Self {
        Self { id, severity: Severity::Notice, reason, remedy }
    }
}
