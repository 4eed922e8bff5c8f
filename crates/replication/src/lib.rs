//! Replica topology, read routing, replication rules and their synchronisation, on the dialects of [`data`].
//!
//! [`Manager`] is the entrance: it holds the replicas of each project and the rules between projects.

mod bulk;
mod error;
mod manager;
mod rule;
mod snapshot;
mod stats;
mod topology;
mod tree;
mod verify;

pub use bulk::{
    CollectionReport, CopyEnd, CopyListener, CopyOptions, CopyProgress, CopyReport, CopyTarget,
    DestinationReport, Problem, Stop, copy,
};
pub use error::{Error, Result};
pub use manager::Manager;
pub use rule::{ConflictResolution, Mode, Rule};
pub use snapshot::{Progress, ProgressListener};
pub use stats::{CollectionStats, Conversion, Failure, SyncCursor, SyncStats};
pub use topology::{ReadRouting, ReplicaConfig, ReplicaStatus, Role, State};
pub use verify::{CollectionVerdict, Verdict};
