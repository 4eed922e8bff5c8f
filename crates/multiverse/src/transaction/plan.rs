//! What a commit has to do, decided from what the branches have done and what their servers answer. No I/O.

use crate::client::Reply;
use crate::error::Error;

/// How the branches of a transaction are committed, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing was written: each branch for itself.
    ReadersOnly,
    /// One branch has written: it is committed as any transaction is.
    OnePhase { writer: usize },
    /// Several have: one decides, the others are prepared before.
    TwoPhase { decider: usize, prepared: Vec<usize> },
}

impl Plan {
    /// The plan for branches of which some have written.
    pub(crate) fn of(has_written: &[bool]) -> Self {
        let mut writers = has_written.iter().enumerate().filter(|(_, has)| **has).map(|(place, _)| place);
        let Some(first) = writers.next() else { return Self::ReadersOnly };
        let others: Vec<usize> = writers.collect();
        if others.is_empty() {
            Self::OnePhase { writer: first }
        } else {
            Self::TwoPhase { decider: first, prepared: others }
        }
    }

    /// Whether a branch takes part in the decision.
    pub(crate) fn is_writer(&self, place: usize) -> bool {
        match self {
            Self::ReadersOnly => false,
            Self::OnePhase { writer } => *writer == place,
            Self::TwoPhase { decider, prepared } => *decider == place || prepared.contains(&place),
        }
    }
}

/// What became of a statement that ends or prepares a branch.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was carried out.
    Done,
    /// The branch is rolled back. Without an error, because one of its statements had failed before.
    RolledBack(Option<Error>),
    /// The server may have carried it out, or may do so yet.
    Unknown(Error),
}

impl Ending {
    /// Reads the answer to a statement whose command tag is `tag` when it was carried out.
    pub(crate) fn of(answer: Result<&Reply, Error>, tag: &str) -> Self {
        match answer {
            Ok(reply) if reply.command_tag == tag => Self::Done,
            // The server answers so, and reports no error, where the transaction had failed.
            Ok(_) => Self::RolledBack(None),
            Err(error) if is_certain(&error) => Self::RolledBack(Some(error)),
            Err(error) => Self::Unknown(error),
        }
    }
}

/// Whether the error says that the statement was not carried out and never will be.
fn is_certain(error: &Error) -> bool {
    match error {
        // A server that ends the session may say so after it has carried the statement out.
        Error::Server(report) => !report.is_fatal(),
        // Together with its session the server ends a transaction whose last statement has not reached it.
        Error::ConnectionLost { sent, .. } => !sent,
        // The session was gone before the statement was asked for.
        Error::NoSession(_) => true,
        _ => false,
    }
}

/// Whether the server says that there is no prepared transaction of the name: somebody else has ended it.
pub(crate) fn is_ended_already(error: &Error) -> bool {
    matches!(error, Error::Server(report) if report.code == "42704")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request::SessionId;

    fn reply(tag: &str) -> Reply {
        Reply { command_tag: tag.to_owned(), ..Reply::default() }
    }

    #[test]
    fn only_those_who_have_written_take_part_in_the_decision() {
        assert_eq!(Plan::of(&[false, false]), Plan::ReadersOnly);
        assert_eq!(Plan::of(&[false, true]), Plan::OnePhase { writer: 1 });
        let plan = Plan::of(&[false, true, true, false, true]);
        assert_eq!(plan, Plan::TwoPhase { decider: 1, prepared: vec![2, 4] });
        let writers: Vec<bool> = (0..5).map(|place| plan.is_writer(place)).collect();
        assert_eq!(writers, [false, true, true, false, true]);
    }

    #[test]
    fn a_commit_that_the_server_turned_into_a_rollback_has_rolled_back() {
        assert!(matches!(Ending::of(Ok(&reply("COMMIT")), "COMMIT"), Ending::Done));
        assert!(matches!(Ending::of(Ok(&reply("ROLLBACK")), "COMMIT"), Ending::RolledBack(None)));
    }

    #[test]
    fn a_connection_that_was_lost_after_the_commit_was_sent_leaves_the_outcome_open() {
        let lost =
            |sent| Error::ConnectionLost { server: Arc::from("a_primary"), sent, reason: Arc::from("gone") };
        assert!(matches!(Ending::of(Err(lost(true)), "COMMIT"), Ending::Unknown(_)));
        assert!(matches!(Ending::of(Err(lost(false)), "COMMIT"), Ending::RolledBack(Some(_))));
        let gone = Error::NoSession(SessionId(1));
        assert!(matches!(Ending::of(Err(gone), "COMMIT"), Ending::RolledBack(Some(_))));
        for open in [Error::Closed, Error::Cancelled] {
            assert!(matches!(Ending::of(Err(open), "COMMIT"), Ending::Unknown(_)));
        }
    }
}
