//! The states of a transaction, and which may follow which.

use std::fmt;

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It takes statements.
    Active,
    /// It is to be committed, and can still be rolled back.
    Preparing,
    /// The commit that decides has been sent: only its server knows.
    Deciding,
    /// It is committed; some of its prepared branches may not know yet.
    Committed,
    /// It is being rolled back.
    Aborting,
    /// It is rolled back; some of its prepared branches may not know yet.
    Aborted,
    /// Nobody could be asked whether it is committed. What was prepared is ended once the deciding server answers again.
    Unknown,
}

impl State {
    /// Whether this state may come after `self`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use State::{Aborted, Aborting, Active, Committed, Deciding, Preparing, Unknown};
        matches!(
            (self, next),
            (Active, Preparing | Aborting)
                | (Preparing, Deciding | Committed | Aborting)
                | (Deciding, Committed | Aborting | Unknown)
                | (Aborting, Aborted)
        )
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::Aborted | Self::Unknown)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Active => "active",
            Self::Preparing => "preparing",
            Self::Deciding => "committing",
            Self::Committed => "committed",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::State::{Aborted, Aborting, Active, Committed, Deciding, Preparing, Unknown};
    use super::*;

    const ALL: [State; 7] = [Active, Preparing, Deciding, Committed, Aborting, Aborted, Unknown];

    #[test]
    fn what_is_decided_stays_so() {
        for end in ALL.into_iter().filter(|state| state.is_final()) {
            assert!(ALL.into_iter().all(|next| !end.may_become(next)), "{end}");
        }
    }

    #[test]
    fn a_transaction_is_rolled_back_at_any_time_before_the_decision_and_never_after() {
        for state in [Active, Preparing, Deciding] {
            assert!(state.may_become(Aborting), "{state}");
        }
        assert!(!Committed.may_become(Aborting));
        // Nothing gets to the decision without having been asked to commit.
        assert!(!Active.may_become(Deciding) && !Active.may_become(Committed));
        // Only a commit that was sent can be in doubt.
        assert!(ALL.into_iter().all(|state| state == Deciding || !state.may_become(Unknown)));
    }

    #[test]
    fn every_state_leads_to_an_end() {
        for state in ALL {
            let mut reached = vec![state];
            while let Some(next) =
                ALL.into_iter().find(|n| !reached.contains(n) && reached.iter().any(|r| r.may_become(*n)))
            {
                reached.push(next);
            }
            assert!(reached.iter().any(|state| state.is_final()), "{state}");
        }
    }
}
