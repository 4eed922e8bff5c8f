//! What is applied, pending and failed: figures for programs, and a line for each migration and place for people.

use indexmap::IndexMap;
use serde::Serialize;

use super::definition::{Migration, Place};
use super::history::History;
use super::host::Direction;
use super::plan::{Scope, places_of};
use super::settings::Settings;
pub use super::state::Standing;

/// The figures of a schema or a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Applied migrations.
    pub applied: usize,
    /// Migrations that are not applied.
    pub pending: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// The last version that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied: Option<String>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Whether it would be applied or taken back.
    pub direction: Direction,
    /// Whether it runs in a transaction.
    pub transaction: bool,
    /// Whether it was run and rolled back; only of a dry run that executes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executed: Option<bool>,
}

/// A migration at a place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// `applied`, `pending`, `failed`, `running` or `broken`; `missing` if it was applied and its file is gone, `changed` if
    /// that is not what was applied.
    pub state: &'static str,
    /// When it was applied, in UTC, as ISO 8601 writes it.
    pub executed_at: Option<String>,
    /// How long that took, in milliseconds.
    pub execution_time: Option<i64>,
    /// The number of its batch.
    pub batch: Option<i64>,
    /// Whether one that runs or stopped half-way is being applied or taken back.
    pub direction: Option<Direction>,
    /// What is known of one that did not end well.
    pub message: Option<String>,
}

/// What is applied, pending and failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Known migrations.
    pub total_migrations: usize,
    /// Applied ones, counted at each place.
    pub applied_migrations: usize,
    /// Those that are not applied, counted at each place.
    pub pending_migrations: usize,
    /// Those of them that failed.
    pub failed_migrations: usize,
    /// By schema.
    pub by_schema: IndexMap<String, Counts>,
    /// By cluster.
    pub by_cluster: IndexMap<String, Counts>,
    /// What would be done; only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<PlanStep>>,
}

impl Status {
    /// Counts what is known of the places in the scope.
    pub(crate) fn count(
        migrations: &[Migration],
        settings: &Settings,
        history: &History,
        scope: &Scope<'_>,
    ) -> Self {
        let mut status = Self { total_migrations: migrations.len(), ..Self::default() };
        for place in configured_places(settings, scope) {
            status.by_schema.entry(place.schema.to_string()).or_default();
            status.by_cluster.entry(place.cluster.to_string()).or_default();
        }
        for report in reports(migrations, settings, history, scope) {
            status.enter(&report);
        }
        status
    }

    fn enter(&mut self, report: &Report) {
        let counts = |counts: &mut Counts| match report.state {
            "applied" | "missing" | "changed" => {
                counts.applied += 1;
                counts.last_applied = Some(report.version.clone());
            }
            "pending" => counts.pending += 1,
            _ => {
                counts.pending += 1;
                counts.failed += 1;
            }
        };
        let mut total = Counts::default();
        counts(self.by_schema.entry(report.place.schema.to_string()).or_default());
        counts(self.by_cluster.entry(report.place.cluster.to_string()).or_default());
        counts(&mut total);
        self.applied_migrations += total.applied;
        self.pending_migrations += total.pending;
        self.failed_migrations += total.failed;
    }
}

fn configured_places(settings: &Settings, scope: &Scope<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for cluster in &settings.clusters {
        for schema in &cluster.schemas {
            let place = Place { schema: schema.as_str().into(), cluster: cluster.id.as_str().into() };
            places.extend(Some(place).filter(|place| scope.has(place)));
        }
    }
    places
}

/// Each migration at each place, in the order of versions, those first whose files are gone.
pub(crate) fn reports(
    migrations: &[Migration],
    settings: &Settings,
    history: &History,
    scope: &Scope<'_>,
) -> Vec<Report> {
    let mut reports = gone(migrations, history, scope);
    for migration in migrations {
        let mut places = places_of(migration, settings);
        // It may have been applied where it does not belong any more.
        let mut others: Vec<&Place> =
            history.applied.keys().filter(|place| !places.contains(place)).collect();
        others.sort();
        places.extend(
            others
                .into_iter()
                .filter(|place| history.is_applied(place, &migration.version))
                .cloned()
                .collect::<Vec<_>>(),
        );
        reports.extend(
            places
                .into_iter()
                .filter(|place| scope.has(place))
                .map(|place| report(migration, place, settings, history)),
        );
    }
    reports
}

fn report(migration: &Migration, place: Place, settings: &Settings, history: &History) -> Report {
    let (applied, state) =
        (history.find(&place, &migration.version), history.state(&place, &migration.version));
    let change = history.change(&place, migration).filter(|_| settings.validate_checksums);
    let standing = match (applied, state.map(|state| state.standing)) {
        (_, Some(Standing::Running)) => "running",
        (_, Some(Standing::Broken)) => "broken",
        (None, Some(Standing::Failed)) => "failed",
        (Some(_), _) if change.is_some() => "changed",
        (Some(_), _) => "applied",
        (None, _) => "pending",
    };
    Report {
        version: migration.version.clone(),
        name: migration.name.clone(),
        place,
        state: standing,
        executed_at: applied.map(|applied| applied.executed_at.clone()),
        execution_time: applied.map(|applied| applied.execution_time),
        batch: applied.and_then(|applied| applied.batch),
        direction: state.filter(|state| state.standing.is_half_done()).map(|state| state.direction),
        message: state
            .filter(|state| applied.is_none() || state.standing.is_half_done())
            .and_then(|state| state.message.clone())
            .or(change.map(|change| change.to_string())),
    }
}

fn gone(migrations: &[Migration], history: &History, scope: &Scope<'_>) -> Vec<Report> {
    let is_known = |version: &str| migrations.iter().any(|migration| migration.version == version);
    let mut reports = Vec::new();
    for (place, applied) in history.applied.iter().filter(|(place, _)| scope.has(place)) {
        reports.extend(applied.iter().filter(|each| !is_known(&each.version)).map(|each| Report {
            version: each.version.clone(),
            name: each.name.clone(),
            place: place.clone(),
            state: "missing",
            executed_at: Some(each.executed_at.clone()),
            execution_time: Some(each.execution_time),
            batch: each.batch,
            direction: None,
            message: None,
        }));
    }
    reports.sort_by(|one, other| (&one.version, &one.place).cmp(&(&other.version, &other.place)));
    reports
}
