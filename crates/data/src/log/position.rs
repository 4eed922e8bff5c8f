//! A place in the log of a database.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use wire::replication::Lsn;

/// A place in the log of one database, between two transactions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Grows along the log: an LSN on PostgreSQL, the number of a change where triggers record it.
    pub order: u64,
    /// What else the database needs to begin reading there, such as a resume token.
    pub token: Option<String>,
}

impl Position {
    /// A place that its order alone describes.
    pub fn at(order: u64) -> Self {
        Self { order, token: None }
    }
}

/// How a place in a log is written for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PositionForm {
    /// As a number.
    #[default]
    Number,
    /// As PostgreSQL writes positions of its write-ahead log: `16/B374D848`.
    Lsn,
}

impl PositionForm {
    /// The text of a place.
    pub fn text(self, order: u64) -> String {
        match self {
            Self::Number => order.to_string(),
            Self::Lsn => Lsn::from(order).to_string(),
        }
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order).then_with(|| self.token.cmp(&other.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_the_write_ahead_log_is_written_as_postgresql_does() {
        assert_eq!(PositionForm::Lsn.text(0x16_B374_D848), "16/B374D848");
        assert_eq!(PositionForm::Number.text(17), "17");
    }
}
