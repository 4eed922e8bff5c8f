//! Numbering changes in the order in which they became visible.
//!
//! Numbers that the server gives out on insertion are no order of commits: a transaction that began to write first may
//! commit last, and a reader that has gone past its numbers would never see it. So what is committed is moved from the
//! inbox into the table of changes, by one connection at a time, and numbered there. A transaction becomes visible as a
//! whole, so that its changes are moved together. Those of one row have the right order, as a transaction that changes a row
//! after another one records that after the other has committed.

use super::super::pool::{Link, Pool, Pooled};
use super::super::session::{execute_on, fetch_on};
use super::own_tables::{CHANGE, INBOX, number, order, scalar};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::value::Value;

/// The lock under which changes are numbered. Its name may have 64 characters.
const LOCK: &str = "CONCAT('replicaverse log ', MD5(DATABASE()))";
/// How many seconds numbering by another process is waited for.
const WAIT_SECONDS: u32 = 60;
/// Rows that are moved by their numbers at a time.
const MOVED_AT_ONCE: usize = 1_000;

/// A connection that alone numbers changes. Dropped before its end, the connection is closed, and the lock with it.
pub(super) struct Sequencer {
    /// Gone after the end.
    link: Option<Pooled>,
}

impl Sequencer {
    /// Waits for its turn.
    pub(super) async fn begin(pool: &Pool) -> Result<Self> {
        match Self::try_begin(pool, WAIT_SECONDS).await? {
            Some(sequencer) => Ok(sequencer),
            None => {
                let message = format!("another process has been numbering changes for {WAIT_SECONDS} s");
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    /// `None` if it is another one's turn for so many seconds.
    pub(super) async fn try_begin(pool: &Pool, wait_seconds: u32) -> Result<Option<Self>> {
        let link = pool.get().await?;
        let mut sequencer = Self { link: Some(link) };
        let sql = format!("SELECT GET_LOCK({LOCK}, {wait_seconds})");
        let locked = scalar(sequencer.link()?, &sql, &[]).await?;
        if locked == Some(1) {
            return Ok(Some(sequencer));
        }
        sequencer.link = None;
        Ok(None)
    }

    pub(super) fn link(&mut self) -> Result<&mut Link> {
        let ended =
            || Error::new(ErrorKind::Internal, "the connection that numbers changes has been given back");
        self.link.as_deref_mut().ok_or_else(ended)
    }

    /// Numbers everything that is committed.
    pub(super) async fn run(&mut self) -> Result<()> {
        let link = self.link()?;
        if scalar(link, &format!("SELECT EXISTS (SELECT 1 FROM {INBOX})"), &[]).await? == Some(0) {
            return Ok(());
        }
        // So isolated, a statement that copies rows reads what is committed, and neither waits for the rest nor locks it.
        link.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION").await?;
        let last = last(link).await?;
        link.run(&copy(last, "")).await?;
        link.run(&format!(
            "DELETE i FROM {CHANGE} AS c STRAIGHT_JOIN {INBOX} AS i ON i.id = c.id WHERE c.seq > {last}"
        ))
        .await?;
        link.run("COMMIT").await.map(drop)
    }

    /// Numbers these changes, which are committed.
    pub(super) async fn run_on(&mut self, ids: &[u64]) -> Result<()> {
        let link = self.link()?;
        for ids in ids.chunks(MOVED_AT_ONCE) {
            link.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION").await?;
            let last = last(link).await?;
            let places = vec!["?"; ids.len()].join(", ");
            let params: Vec<Value> = ids.iter().map(|id| number(*id)).collect();
            let condition = format!("WHERE id IN ({places})");
            execute_on(link, Access::Write, &copy(last, &condition), &params).await?;
            execute_on(link, Access::Write, &format!("DELETE FROM {INBOX} {condition}"), &params).await?;
            link.run("COMMIT").await?;
        }
        Ok(())
    }

    /// Lets others have their turn.
    pub(super) async fn end(mut self) -> Result<()> {
        self.link()?.run(&format!("DO RELEASE_LOCK({LOCK})")).await?;
        self.link = None;
        Ok(())
    }
}

impl Drop for Sequencer {
    fn drop(&mut self) {
        // Given back to the pool, it would keep the lock until it is used again.
        drop(self.link.take().map(Pooled::take));
    }
}

async fn last(link: &mut Link) -> Result<u64> {
    let last =
        fetch_on(link, Access::Read, &format!("SELECT max(seq) FROM {CHANGE}"), &[]).await?.into_scalar();
    Ok(last.as_ref().map(order).unwrap_or(0))
}

/// The statement that numbers rows of the inbox behind the last number.
fn copy(last: u64, condition: &str) -> String {
    format!(
        "INSERT INTO {CHANGE} (seq, id, source, operation, bytes, at, mark) \
         SELECT {last} + ROW_NUMBER() OVER (ORDER BY id), id, source, operation, bytes, at, REPLACE(UUID(), '-', '') \
         FROM {INBOX} {condition}"
    )
}
