//! Lint of what is pending: findings are told before anything runs, or stop the run.

use std::collections::{HashMap, HashSet};

use super::definition::{Migration, Source};
use super::error::Error;
use super::host::Event;
use super::lint::{Finding, LintOptions, LintReport, LintTarget, LintText, Severity, lint};
use super::migrator::Migrator;
use super::settings::LintMode;
use super::unit::Unit;

impl Migrator {
    /// Tells of errors in the migrations of a plan. Earlier ones are looked at too, as later ones may rely on them.
    ///
    /// # Errors
    /// [`Error::Lint`] if that was asked for and something was found.
    pub(super) async fn lint_pending(&self, units: &[Unit]) -> Result<(), Error> {
        if self.settings.lint == LintMode::Off || units.is_empty() {
            return Ok(());
        }
        let pending: HashSet<&str> = units
            .iter()
            .filter_map(|unit| self.migrations.get(unit.migration))
            .map(|migration| migration.version.as_str())
            .collect();
        let mut report = self.report().await;
        report.findings.retain(|finding| {
            finding.severity == Severity::Error && pending.contains(finding.version.as_str())
        });
        let messages: Vec<String> = report.findings.iter().map(Finding::message).collect();
        if self.settings.lint == LintMode::Refuse && !messages.is_empty() {
            return Err(Error::Lint(messages));
        }
        for message in messages {
            self.host.tell(Event::Warning { message });
        }
        Ok(())
    }

    async fn report(&self) -> LintReport {
        let scripts = self.migrations.iter().filter(|each| each.source == Source::Script);
        let versions = scripts.map(|each| each.version.clone()).collect();
        let told = self.host.lint_targets(versions).await;
        let told: HashMap<String, LintTarget> =
            told.into_iter().map(|target| (target.version.clone(), target)).collect();
        let target = |migration: &Migration| match &migration.source {
            Source::Sql(_) => Some(target_of(migration)),
            Source::Script => told.get(&migration.version).cloned(),
        };
        let targets: Vec<LintTarget> = self.migrations.iter().filter_map(target).collect();
        let options =
            LintOptions { lock_timeout: self.settings.ddl_lock_timeout.is_some(), ignore: Vec::new() };
        // Parsing many files takes a while, in which others need the thread.
        let linted = tokio::task::spawn_blocking(move || lint(&targets, &options)).await;
        linted.unwrap_or_default()
    }
}

fn target_of(migration: &Migration) -> LintTarget {
    let (sql, reversible) = match &migration.source {
        Source::Sql(file) => (file.up.clone(), file.down.is_some()),
        Source::Script => (String::new(), true),
    };
    LintTarget {
        version: migration.version.clone(),
        file: migration.file.clone(),
        schemas: migration.target_schemas.clone(),
        transaction: migration.transaction,
        reversible,
        texts: vec![LintText { sql, line: 1, is_partial: false }],
        comments: Vec::new(),
    }
}
