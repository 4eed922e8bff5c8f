//! The table of changes as a stream looks at it.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::pool::SqlitePools;
use super::super::session::{ForeignKeys, WriteTransaction, execute_on, fetch_on};
use super::capture::{self, set_verified, sources};
use super::own_tables::{CHANGE, CONFLICT, LOG, READER, SOURCE, position};
use super::read::ReadLayouts;
use crate::error::Result;
use crate::log::change_table::{
    ChangeTable, Chunk, DELETED_AT_ONCE, Look, check_mark, lost, lost_table, unknown_reader,
};
use crate::log::{LogReader, Position};
use crate::value::{Timestamp, Value};

/// The table of changes of one database.
pub(super) struct SqliteChanges {
    pools: Arc<SqlitePools>,
}

impl SqliteChanges {
    pub(super) fn new(pools: Arc<SqlitePools>) -> Self {
        Self { pools }
    }

    async fn delete_some(&self) -> Result<u64> {
        let sql = format!(
            "DELETE FROM {CHANGE} WHERE seq < (SELECT min(acknowledged) FROM {READER}) \
             AND seq < (SELECT min(seq) FROM {CHANGE}) + {DELETED_AT_ONCE}"
        );
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let deleted = execute_on(transaction.connection()?, &sql, &[]).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}

#[async_trait]
impl ChangeTable for SqliteChanges {
    type Layouts = ReadLayouts;

    async fn look(&self, reader: &LogReader, from: &Position) -> Result<Look> {
        let sql = format!(
            "SELECT c.seq, c.mark, c.at, (SELECT coalesce(max(id), 0) FROM {SOURCE}), \
             l.schema_version = (SELECT schema_version FROM pragma_schema_version), r.acknowledged, r.lost, \
             (SELECT mark FROM {CHANGE} WHERE seq = ?) \
             FROM {CHANGE} AS c, {LOG} AS l, {READER} AS r \
             WHERE c.seq = (SELECT max(seq) FROM {CHANGE}) AND r.name = ?"
        );
        let params = [number(from.order), reader.name.as_str().into()];
        let connection = &mut *self.pools.read().await?;
        let rows = fetch_on(connection, &sql, &params).await.map_err(lost_table)?.rows;
        let row = rows.into_iter().next().ok_or_else(unknown_reader)?;
        let [seq, Value::Text(mark), at, newest, is_verified, acknowledged, reason, own_mark] =
            row.as_slice()
        else {
            return Err(lost("the table of changes is malformed"));
        };
        if let Some(reason) = reason.as_text() {
            return Err(lost(reason));
        }
        // What was acknowledged is told apart from what another copy of the file has never had.
        let acknowledged = acknowledged.as_integer().and_then(|order| u64::try_from(order).ok()).unwrap_or(0);
        if acknowledged <= from.order {
            check_mark(from, own_mark.as_text())?;
        }
        Ok(Look {
            end: position(seq, mark),
            committed_at: Timestamp::from_millis(at.as_integer().unwrap_or(0)),
            acknowledged,
            newest_layout: newest.as_integer().unwrap_or(0),
            is_verified: is_verified.as_integer() == Some(1),
        })
    }

    async fn follow(&self, seen: u64) -> Result<()> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        capture::follow(transaction.connection()?, seen).await?;
        set_verified(transaction.connection()?).await?;
        transaction.commit().await
    }

    async fn layouts(&self, reader: &LogReader) -> Result<ReadLayouts> {
        let sources = sources(&mut *self.pools.read().await?).await.map_err(lost_table)?;
        Ok(ReadLayouts::new(reader, &sources))
    }

    async fn read(&self, layouts: &ReadLayouts, behind: u64, up_to: u64) -> Result<Chunk> {
        layouts.read(&mut *self.pools.read().await?, behind, up_to).await.map_err(lost_table)
    }

    async fn acknowledge(&self, reader: &str, order: u64) -> Result<()> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let connection = transaction.connection()?;
        let sql = format!(
            "UPDATE {READER} SET acknowledged = min(?, (SELECT max(seq) FROM {CHANGE})) \
             WHERE name = ? AND acknowledged < ?"
        );
        execute_on(connection, &sql, &[number(order), reader.into(), number(order)]).await?;
        // Nobody else writes now, so no statement is under way that its notes are needed for.
        execute_on(connection, &format!("DELETE FROM {CONFLICT}"), &[]).await?;
        transaction.commit().await?;
        while self.delete_some().await? > 0 {}
        Ok(())
    }
}

fn number(order: u64) -> Value {
    Value::Int64(i64::try_from(order).unwrap_or(i64::MAX))
}
