//! Places at which a test stops a commit, to kill something meanwhile. They are there in debug builds only.

/// The steps of the protocol after which a commit can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The row of the decision is written, not committed.
    DecisionWritten,
    /// One of the branches is prepared.
    OnePrepared,
    /// All branches but the deciding one are prepared.
    Prepared,
    /// The deciding branch is committed.
    Decided,
    /// One of the prepared branches is committed.
    OneCommitted,
    /// All branches are committed; the row is still there.
    Committed,
    /// Recovery knows what was decided on a prepared branch, and has not ended it.
    Recovering,
}

#[cfg(debug_assertions)]
impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::DecisionWritten => "decision-written",
            Self::OnePrepared => "one-prepared",
            Self::Prepared => "prepared",
            Self::Decided => "decided",
            Self::OneCommitted => "one-committed",
            Self::Committed => "committed",
            Self::Recovering => "recovering",
        }
    }
}

/// Stops here if the folder named by `REPLICAVERSE_FAILPOINTS` holds a file with the step's name. The file is renamed to
/// `<step>.reached`; the commit goes on once that is deleted.
#[cfg(debug_assertions)]
pub(crate) async fn reached(step: Step) {
    let Some(folder) = std::env::var_os("REPLICAVERSE_FAILPOINTS") else { return };
    let folder = std::path::PathBuf::from(folder);
    let reached = folder.join(format!("{}.reached", step.name()));
    // Of several that come here, the first takes the file.
    if std::fs::rename(folder.join(step.name()), &reached).is_err() {
        return;
    }
    while reached.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// There are no failpoints in release builds.
#[cfg(not(debug_assertions))]
pub(crate) async fn reached(_: Step) {}
