//! A place in the log of a database.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

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
