//! What a transaction is asked to be, and the statement that begins it so.

use std::time::Duration;

/// How far a transaction is kept apart from others. PostgreSQL takes the first for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// The options of a transaction; what is `None` is as the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionOptions {
    /// The isolation level.
    pub isolation: Option<Isolation>,
    /// Whether it only reads.
    pub read_only: Option<bool>,
    /// Whether a serializable transaction that only reads waits until nothing can make it fail.
    pub deferrable: Option<bool>,
    /// How long beginning it may take, with the waiting for connections; `None` for as long as the pools have them waited for.
    pub begin_limit: Option<Duration>,
}

impl TransactionOptions {
    /// The statement that begins the transaction on a server.
    pub(crate) fn begin_statement(&self) -> String {
        let isolation = self.isolation.map(|isolation| match isolation {
            Isolation::ReadUncommitted => " ISOLATION LEVEL READ UNCOMMITTED",
            Isolation::ReadCommitted => " ISOLATION LEVEL READ COMMITTED",
            Isolation::RepeatableRead => " ISOLATION LEVEL REPEATABLE READ",
            Isolation::Serializable => " ISOLATION LEVEL SERIALIZABLE",
        });
        let read_only = self.read_only.map(|is_so| if is_so { " READ ONLY" } else { " READ WRITE" });
        let deferrable = self.deferrable.map(|is_so| if is_so { " DEFERRABLE" } else { " NOT DEFERRABLE" });
        let modes = [isolation, read_only, deferrable];
        let modes: Vec<&str> = modes.into_iter().flatten().collect();
        format!("BEGIN{}", modes.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_begins_as_its_options_say() {
        assert_eq!(TransactionOptions::default().begin_statement(), "BEGIN");
        let options = TransactionOptions {
            isolation: Some(Isolation::Serializable),
            read_only: Some(true),
            deferrable: Some(false),
            begin_limit: None,
        };
        let expected = "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE";
        assert_eq!(options.begin_statement(), expected);
    }
}
