//! Replica topology, read routing, replication rules and their synchronisation, on the dialects of [`data`].
//!
//! [`Manager`] is the entrance: it holds the replicas of each project and the rules between projects.

mod bidirectional;
mod bulk;
mod cdc;
mod column_rule;
mod error;
mod managed;
mod manager;
mod poll;
mod row_shape;
mod rule;
mod rule_cycles;
mod rule_overlap;
mod rule_shape;
mod snapshot;
mod stats;
mod topology;
mod tree;
mod untangle;
mod verify;

pub use bulk::{
    CollectionReport, CopyEnd, CopyListener, CopyOptions, CopyProgress, CopyReport, CopyTarget,
    DestinationReport, Problem, Stop, copy,
};
pub use cdc::{
    CdcEvent, CdcObserver, ChangeFeed, DeadLetterView, DeadLetters, FeedChange, RemovalFailure, Resolution,
    RowOperation, RowVersions, RuleState, RunState,
};
pub use column_rule::ColumnRule;
pub use error::{Error, Result};
pub use managed::{RewindRequest, Rewinder};
pub use manager::{Manager, ReservedReplica};
pub use row_shape::{RowToTransform, RowTransform, TransformOutcome};
pub use rule::{Capture, ConflictResolution, DEFAULT_POLL_OVERLAP_MS, ExtraFields, Mode, OnRowError, Rule};
pub use rule_shape::{DEFAULT_TRANSFORM_TIMEOUT_MS, RuleShape};
pub use snapshot::{Progress, ProgressListener};
pub use stats::{CollectionStats, Conflict, Conversion, Failure, SyncCursor, SyncStats, Winner};
pub use topology::{
    FedBy, Feed, Promoted, ReadRouting, ReplicaConfig, ReplicaStatus, Role, State, TopologyEvent,
    TopologyListener, WriteToken,
};
pub use verify::{CollectionVerdict, Repair, Verdict};
