//! Creating, dropping and reading replication slots over a replication connection.

use super::lsn::Lsn;
use super::system::CommandAnswer;
use super::{quote, version};
use crate::connection::Connection;
use crate::error::Result;

/// The first version whose standbys can keep the slots of their primary.
const FAILOVER_VERSION: u32 = 17;

/// What becomes of the snapshot that shows the database as it is where a new slot begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SnapshotAction {
    /// Other sessions can use it by its name, until the next command on this connection or its end.
    #[default]
    Export,
    /// The transaction of this connection uses it. It must be REPEATABLE READ, and the slot's creation its first
    /// command.
    Use,
    /// None is made.
    Nothing,
}

/// A logical slot to create, with the output plugin `pgoutput` and without two-phase decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSlot {
    /// The name: lower-case letters, digits and underscores, 63 at most.
    pub name: String,
    /// Whether the slot ends with this connection, or with an error on it.
    pub temporary: bool,
    /// What becomes of the snapshot.
    pub snapshot: SnapshotAction,
    /// Whether standbys that synchronise slots keep it too, so that it goes on when one of them is promoted. Servers before 17
    /// know no such slots and make one of their own, and so does any server of a temporary slot.
    pub failover: bool,
}

impl CreateSlot {
    /// A slot that stays, and whose snapshot is exported.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), temporary: false, snapshot: SnapshotAction::Export, failover: false }
    }

    fn command(&self, major_version: u32) -> String {
        let name = quote::name(&self.name);
        let temporary = if self.temporary { " TEMPORARY" } else { "" };
        let failover = if self.failover && !self.temporary && major_version >= FAILOVER_VERSION {
            ", FAILOVER true"
        } else {
            ""
        };
        let snapshot = match (self.snapshot, major_version >= 15) {
            (SnapshotAction::Export, true) => format!("(SNAPSHOT 'export'{failover})"),
            (SnapshotAction::Use, true) => format!("(SNAPSHOT 'use'{failover})"),
            (SnapshotAction::Nothing, true) => format!("(SNAPSHOT 'nothing'{failover})"),
            (SnapshotAction::Export, false) => "EXPORT_SNAPSHOT".to_owned(),
            (SnapshotAction::Use, false) => "USE_SNAPSHOT".to_owned(),
            (SnapshotAction::Nothing, false) => "NOEXPORT_SNAPSHOT".to_owned(),
        };
        format!("CREATE_REPLICATION_SLOT {name}{temporary} LOGICAL pgoutput {snapshot}")
    }
}

/// A slot that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// Its name.
    pub name: String,
    /// Where its stream begins: with the first transaction that commits after this position.
    pub consistent_point: Lsn,
    /// The exported snapshot, for `SET TRANSACTION SNAPSHOT`. It shows exactly what had been committed at
    /// `consistent_point`.
    pub snapshot_name: Option<String>,
}

/// What a physical slot holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalSlot {
    /// The oldest position whose log is kept, `None` while the slot was never used.
    pub restart_lsn: Option<Lsn>,
    /// The timeline of that position.
    pub restart_timeline: Option<u32>,
}

impl Connection {
    /// Creates a logical slot. For replication connections to a database only.
    ///
    /// The server waits for every transaction that is running to end, so this may take as long as the longest.
    ///
    /// # Errors
    /// [`Error::Server`](crate::Error::Server): SQLSTATE 42710 where the slot exists, 53400 where
    /// `max_replication_slots` are in use, 55000 where `wal_level` is too low, 42501 without the privilege.
    pub async fn create_replication_slot(&mut self, slot: &CreateSlot) -> Result<CreatedSlot> {
        let command = slot.command(self.server_major_version()?);
        let results = self.simple_query(&command).await?;
        let answer = CommandAnswer::new(&results, "CREATE_REPLICATION_SLOT")?;
        Ok(CreatedSlot {
            name: answer.required(0)?,
            consistent_point: answer.required(1)?,
            snapshot_name: answer.optional(2)?,
        })
    }

    /// Has standbys that synchronise slots keep a logical one too. For replication connections to a database only.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) where the server is older than 17;
    /// [`Error::Server`](crate::Error::Server): SQLSTATE 42704 where there is no such slot, 55006 where it is in use.
    pub async fn make_failover_slot(&mut self, name: &str) -> Result<()> {
        version::require(self.server_major_version()?, FAILOVER_VERSION, "ALTER_REPLICATION_SLOT")?;
        let command = format!("ALTER_REPLICATION_SLOT {} (FAILOVER true)", quote::name(name));
        self.simple_query(&command).await.map(drop)
    }

    /// Drops a slot. For replication connections only. With `wait` it waits while the slot is in use, else that
    /// is an error.
    ///
    /// # Errors
    /// [`Error::Server`](crate::Error::Server): SQLSTATE 42704 where there is no such slot, 55006 where it is in
    /// use.
    pub async fn drop_replication_slot(&mut self, name: &str, wait: bool) -> Result<()> {
        let wait = if wait { " WAIT" } else { "" };
        self.simple_query(&format!("DROP_REPLICATION_SLOT {}{wait}", quote::name(name))).await.map(drop)
    }

    /// Reads what a physical slot holds back; `None` where there is no such slot. For replication connections
    /// only.
    ///
    /// The server does not answer for logical slots: they are read from the view `pg_replication_slots`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) where the server is older than 15;
    /// [`Error::Server`](crate::Error::Server) where the slot is a logical one.
    pub async fn read_replication_slot(&mut self, name: &str) -> Result<Option<PhysicalSlot>> {
        version::require(self.server_major_version()?, 15, "READ_REPLICATION_SLOT")?;
        let results = self.simple_query(&format!("READ_REPLICATION_SLOT {}", quote::name(name))).await?;
        let answer = CommandAnswer::new(&results, "READ_REPLICATION_SLOT")?;
        if answer.optional::<String>(0)?.is_none() {
            return Ok(None);
        }
        Ok(Some(PhysicalSlot { restart_lsn: answer.optional(1)?, restart_timeline: answer.optional(2)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_created_in_the_syntax_of_the_server() {
        let mut slot = CreateSlot::new("my\"slot");
        let commands = |slot: &CreateSlot| (slot.command(14), slot.command(15));
        assert_eq!(
            commands(&slot),
            (
                "CREATE_REPLICATION_SLOT \"my\"\"slot\" LOGICAL pgoutput EXPORT_SNAPSHOT".to_owned(),
                "CREATE_REPLICATION_SLOT \"my\"\"slot\" LOGICAL pgoutput (SNAPSHOT 'export')".to_owned()
            )
        );
        slot.failover = true;
        assert!(commands(&slot).1.ends_with(" (SNAPSHOT 'export')"));
        assert!(slot.command(17).ends_with(" (SNAPSHOT 'export', FAILOVER true)"));
        slot.temporary = true;
        assert!(slot.command(17).ends_with(" (SNAPSHOT 'export')"));
        slot.snapshot = SnapshotAction::Use;
        assert!(commands(&slot).0.ends_with(" TEMPORARY LOGICAL pgoutput USE_SNAPSHOT"));
        assert!(commands(&slot).1.ends_with(" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'use')"));
        slot.snapshot = SnapshotAction::Nothing;
        assert!(commands(&slot).0.ends_with(" NOEXPORT_SNAPSHOT"));
        assert!(commands(&slot).1.ends_with(" (SNAPSHOT 'nothing')"));
    }
}
