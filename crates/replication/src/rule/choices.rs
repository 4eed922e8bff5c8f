//! What a rule may choose between.

use serde::{Deserialize, Serialize};

/// How a rule replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A full mirror on each run.
    Snapshot,
    /// Changes as they are captured.
    Cdc,
    /// Changes both ways.
    Bidirectional,
}

impl Mode {
    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Cdc => "cdc",
            Self::Bidirectional => "bidirectional",
        }
    }
}

/// Which version of a row stays when source and target differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictResolution {
    /// The source's.
    SourceWins,
    /// The target's.
    TargetWins,
    /// The one with the later `updatedAt`; the source's where one has none.
    Timestamp,
    /// The one that the application makes of both; only of a bidirectional rule that streams.
    Resolve,
}

/// How a rule of mode `cdc` learns of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// By what suits the source best.
    #[default]
    Auto,
    /// From the log of the source.
    Log,
    /// From a table that triggers fill.
    Trigger,
    /// By asking for rows with a later `updatedAt`, which cannot see deletes.
    Poll,
}

impl Capture {
    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Log => "log",
            Self::Trigger => "trigger",
            Self::Poll => "poll",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Auto, Self::Log, Self::Trigger, Self::Poll].into_iter().find(|capture| capture.name() == name)
    }

    pub(super) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// What happens when the target of a rule of mode `cdc` refuses a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRowError {
    /// The row is set aside in the target's table `replicaverse_dead_letter`, and tried again.
    #[default]
    DeadLetter,
    /// The rule stops before the transaction that the row belongs to.
    Stop,
}

impl OnRowError {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::DeadLetter
    }
}

/// What becomes of the fields of a document for which the target has no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraFields {
    /// They are left out, and counted in the stats.
    #[default]
    Report,
    /// They are kept together in the column `extra`, as JSON.
    Column,
}

impl ExtraFields {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::Report
    }
}
