//! The application: it runs the functions of migrations, and hears what happens.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use super::definition::{Place, serialize_name};
use super::lint::LintTarget;
use super::script_session::ScriptSession;

/// Whether a migration is applied or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It is applied.
    Up,
    /// It is taken back.
    Down,
}

impl Direction {
    /// The command of `pgm` that goes that way.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Up => "migrate",
            Self::Down => "rollback",
        }
    }
}

/// A function of a migration that is to be run.
pub struct ScriptCall {
    /// The migration's version.
    pub version: String,
    /// Which of its functions.
    pub direction: Direction,
    /// Where.
    pub place: Place,
    /// The connection it runs on.
    pub session: Arc<ScriptSession>,
}

/// What a function threw.
#[derive(Debug, Clone)]
pub struct ScriptError {
    /// Its message.
    pub message: String,
    /// Its code, where it has one.
    pub code: Option<String>,
    /// The number under which the application finds what was thrown.
    pub thrown: Option<u32>,
}

/// What happens while migrations run. Durations are in milliseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A migration begins.
    Started {
        /// Whether it is applied or taken back.
        direction: Direction,
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// Where.
        #[serde(flatten)]
        place: Place,
    },
    /// It was applied or taken back.
    Completed {
        /// Whether it was applied or taken back.
        direction: Direction,
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// How long it took.
        duration: u64,
    },
    /// It failed.
    Failed {
        /// Whether it was being applied or taken back.
        direction: Direction,
        /// Its version.
        version: String,
        /// Its name.
        name: String,
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// How long it took.
        duration: u64,
        /// Why.
        message: String,
        /// The code of the error.
        code: String,
        /// The number of what was thrown.
        thrown: Option<u32>,
    },
    /// It failed because of a lock, and is tried again.
    Retried {
        /// Its version.
        version: String,
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// Which attempt comes now, counted from 1.
        attempt: u32,
        /// Why the last one failed.
        message: String,
    },
    /// Another runner holds the lock of a cluster, which is waited for.
    Waiting {
        /// The cluster.
        #[serde(serialize_with = "serialize_name")]
        cluster: Arc<str>,
        /// Who holds it, and since when.
        holder: String,
    },
    /// A restore point was made.
    CheckpointCreated {
        /// The cluster.
        #[serde(serialize_with = "serialize_name")]
        cluster: Arc<str>,
        /// The name of the restore point.
        name: String,
        /// Its position in the write-ahead log.
        position: String,
    },
    /// Something that people should know.
    Warning {
        /// What.
        message: String,
    },
}

/// Runs functions, and hears of events.
#[async_trait]
pub trait Host: Send + Sync {
    /// Runs a function of a migration to its end.
    ///
    /// # Errors
    /// What it threw.
    async fn run(&self, call: ScriptCall) -> Result<(), ScriptError>;

    /// What functions of migrations would run, as far as their sources tell it. By default nothing is known.
    async fn lint_targets(&self, versions: Vec<String>) -> Vec<LintTarget> {
        drop(versions);
        Vec::new()
    }

    /// Something has happened. Must not block.
    fn tell(&self, event: Event);
}
