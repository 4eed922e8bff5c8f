//! Changing the schema: processes take turns, as the server has no transactions for it.

use async_trait::async_trait;

use super::catalog;
use super::pool::{Link, Pooled};
use super::session::{execute_on, fetch_on};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Access, Fetched, LiveColumns, Pinned};
use crate::value::Value;

/// The lock under which the schema of one database is changed. Its name may have 64 characters.
const LOCK: &str = "CONCAT('replicaverse ', MD5(DATABASE()))";
/// How many seconds another process may take for its changes.
const WAIT_SECONDS: u32 = 120;

/// A connection that holds the lock, and on which tables can be dropped in any order. Dropped before its end, the
/// connection is closed, and with it the lock is released.
pub(super) struct SchemaChange {
    /// Gone after the end.
    link: Option<Pooled>,
}

impl SchemaChange {
    pub(super) async fn begin(mut link: Pooled) -> Result<Self> {
        let sql = format!("SELECT GET_LOCK({LOCK}, {WAIT_SECONDS})");
        let locked = fetch_on(&mut link, Access::Write, &sql, &[]).await?.into_scalar();
        let mut change = Self { link: Some(link) };
        if locked.and_then(|locked| locked.as_integer()) != Some(1) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("another process has been changing the schema for {WAIT_SECONDS} s"),
            ));
        }
        change.link()?.run("SET foreign_key_checks = 0").await?;
        Ok(change)
    }

    fn link(&mut self) -> Result<&mut Link> {
        self.link
            .as_deref_mut()
            .ok_or_else(|| Error::new(ErrorKind::Transaction, "the change of the schema has already ended"))
    }

    async fn end(mut self: Box<Self>) -> Result<()> {
        self.link()?.run(&format!("SET foreign_key_checks = 1; DO RELEASE_LOCK({LOCK})")).await?;
        self.link = None;
        Ok(())
    }
}

impl Drop for SchemaChange {
    fn drop(&mut self) {
        // Given back to the pool, it would keep the lock until it is used again.
        drop(self.link.take().map(Pooled::take));
    }
}

#[async_trait]
impl Pinned for SchemaChange {
    async fn fetch(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        fetch_on(self.link()?, access, sql, params).await
    }

    async fn execute(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        execute_on(self.link()?, access, sql, params).await
    }

    async fn live_columns(&mut self, table: &str) -> Result<Option<LiveColumns>> {
        catalog::live_columns(self.link()?, table).await
    }

    async fn list_tables(&mut self) -> Result<Vec<String>> {
        catalog::list_tables(self.link()?).await
    }

    async fn empty_tables(&mut self, quoted: &[String]) -> Result<()> {
        let link = self.link()?;
        link.run("START TRANSACTION").await?;
        for table in quoted {
            if let Err(error) = link.run(&format!("DELETE FROM {table}")).await {
                link.run("ROLLBACK").await?;
                return Err(error);
            }
        }
        link.run("COMMIT").await.map(drop)
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.end().await
    }

    /// What was made stays; the next attempt goes on from there.
    async fn rollback(self: Box<Self>) -> Result<()> {
        self.end().await
    }
}
