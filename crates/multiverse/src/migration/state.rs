//! The state of migrations that the history cannot tell: running outside of a transaction, stopped half-way, failed.

use std::sync::Arc;

use serde::Serialize;

use super::control::Control;
use super::database::{Database, text};
use super::definition::Place;
use super::error::Error;
use super::host::Direction;

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It runs outside of a transaction, or its runner has died while it did.
    Running,
    /// It stopped half-way.
    Broken,
    /// It failed, and its transaction was rolled back.
    Failed,
    /// It was applied by pg-multiverse, and its checksum cannot be compared with what was recorded then.
    Adopted,
}

impl Standing {
    /// Whether nobody knows how much of it is there.
    pub fn is_half_done(self) -> bool {
        matches!(self, Self::Running | Self::Broken)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::Adopted => "adopted",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Running, Self::Broken, Self::Failed, Self::Adopted]
            .into_iter()
            .find(|each| each.name() == name)
    }
}

/// A row of the state table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StateRow {
    pub(crate) version: String,
    pub(crate) place: Place,
    pub(crate) standing: Standing,
    pub(crate) direction: Direction,
    /// The number of statements of its file that have run.
    pub(crate) statement: usize,
    pub(crate) checksum: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) changed_at: String,
}

impl StateRow {
    pub(crate) fn new(version: &str, place: &Place, standing: Standing, direction: Direction) -> Self {
        Self {
            version: version.to_owned(),
            place: place.clone(),
            standing,
            direction,
            statement: 0,
            checksum: None,
            message: None,
            changed_at: String::new(),
        }
    }

    /// What is known of it, for people.
    pub(crate) fn description(&self) -> String {
        let done = match self.direction {
            Direction::Up => "being applied",
            Direction::Down => "being taken back",
        };
        let message = self.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
        let statements = match self.statement {
            0 => String::new(),
            count => format!(", {count} statement(s) of it have run"),
        };
        format!("{} while {done}, {}{statements}{message}", self.standing.name(), self.changed_at)
    }

    pub(crate) async fn read_all(
        database: &Database,
        control: &Control,
        history: &str,
    ) -> Result<Vec<Self>, Error> {
        let exists = database
            .query("reading states", "SELECT pg_catalog.to_regclass($1)::text", &[Some(&control.state)])
            .await?;
        if super::database::first(&exists).is_none() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT version, schema_name, state, direction, statement::text, checksum, message, \
             changed_at::text FROM {} WHERE history = $1 AND cluster_id = $2",
            control.state
        );
        let cluster = database.cluster();
        let rows = database.query("reading states", &sql, &[Some(history), Some(cluster)]).await?;
        let read = |row: &Vec<Option<String>>| {
            Some(Self {
                version: text(row, 0).to_owned(),
                place: Place { schema: Arc::from(text(row, 1)), cluster: Arc::clone(cluster) },
                standing: Standing::of(text(row, 2))?,
                direction: if text(row, 3) == "down" { Direction::Down } else { Direction::Up },
                statement: text(row, 4).parse().unwrap_or_default(),
                checksum: row.get(5).cloned().flatten(),
                message: row.get(6).cloned().flatten(),
                changed_at: text(row, 7).to_owned(),
            })
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Writes the row, in the transaction that is open.
    pub(crate) async fn write(
        &self,
        database: &Database,
        control: &Control,
        history: &str,
        runner: &str,
    ) -> Result<(), crate::Error> {
        let sql = format!(
            "INSERT INTO {} AS s (history, version, schema_name, cluster_id, state, direction, statement, checksum, \
             message, runner) VALUES ($1, $2, $3, $4, $5, $6, $7::int4, $8, $9, $10) \
             ON CONFLICT (history, version, schema_name, cluster_id) DO UPDATE SET state = excluded.state, \
             direction = excluded.direction, statement = excluded.statement, \
             checksum = COALESCE(excluded.checksum, s.checksum), message = excluded.message, \
             runner = excluded.runner, changed_at = pg_catalog.now()",
            control.state
        );
        let direction = if self.direction == Direction::Up { "up" } else { "down" };
        let statement = self.statement.to_string();
        let values = [
            Some(history),
            Some(&self.version),
            Some(&self.place.schema),
            Some(&self.place.cluster),
            Some(self.standing.name()),
            Some(direction),
            Some(&statement),
            self.checksum.as_deref(),
            self.message.as_deref(),
            Some(runner),
        ];
        database.run(&sql, &values).await.map(drop)
    }
}
