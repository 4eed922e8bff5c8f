//! The table of changes as a stream looks at it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::super::pool::Pool;
use super::super::session::{execute_on, fetch_on};
use super::capture::{self, sources};
use super::own_tables::{CHANGE, READER, SOURCE, number, order, scalar, values_table};
use super::read::ReadLayouts;
use super::sequence::Sequencer;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{
    ChangeTable, Chunk, DELETED_AT_ONCE, Look, check_mark, lost, lost_table, unknown_reader,
};
use crate::log::{LogReader, Position};
use crate::sql::Access;
use crate::value::Value;

/// How often the tables are looked at while nothing is written.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

/// The table of changes of one database.
pub(super) struct MysqlChanges {
    pool: Pool,
    /// When the tables were last found as the triggers know them.
    verified_at: Mutex<Option<Instant>>,
}

impl MysqlChanges {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, verified_at: Mutex::default() }
    }

    /// Whether the tables need not be looked at again yet.
    fn is_recently_verified(&self) -> bool {
        let verified = *self.verified_at.lock().unwrap_or_else(PoisonError::into_inner);
        verified.is_some_and(|verified| verified.elapsed() < VERIFY_INTERVAL)
    }

    fn set_verified(&self, is_verified: bool) {
        *self.verified_at.lock().unwrap_or_else(PoisonError::into_inner) = is_verified.then(Instant::now);
    }

    /// Deletes some changes that every reader has acknowledged; whether there may be more.
    async fn delete_some(&self) -> Result<bool> {
        let link = &mut *self.pool.get().await?;
        let sql = format!("SELECT (SELECT min(seq) FROM {CHANGE}), (SELECT min(acknowledged) FROM {READER})");
        let rows = fetch_on(link, Access::Read, &sql, &[]).await?.rows;
        let Some([first, acknowledged]) = rows.first().map(Vec::as_slice) else { return Ok(false) };
        let (first, acknowledged) = (order(first), order(acknowledged));
        let end = acknowledged.min(first + DELETED_AT_ONCE);
        if end <= first {
            return Ok(false);
        }
        for source in sources(link).await? {
            let (id, values) = (source.id, values_table(source.id));
            link.run(&format!(
                "DELETE r FROM {CHANGE} AS c STRAIGHT_JOIN {values} AS r ON r.id = c.id \
                 WHERE c.seq < {end} AND c.source = {id}"
            ))
            .await?;
        }
        link.run(&format!("DELETE FROM {CHANGE} WHERE seq < {end}")).await?;
        Ok(true)
    }
}

#[async_trait]
impl ChangeTable for MysqlChanges {
    type Layouts = ReadLayouts;

    async fn look(&self, reader: &LogReader, from: &Position) -> Result<Look> {
        // Whoever else numbers changes does it for all.
        if let Some(mut sequencer) = Sequencer::try_begin(&self.pool, 0).await? {
            sequencer.run().await.map_err(lost_table)?;
            sequencer.end().await?;
        }
        let sql = format!(
            "SELECT c.seq, c.mark, c.at, (SELECT COALESCE(max(id), 0) FROM {SOURCE}), r.acknowledged, r.lost, \
             (SELECT mark FROM {CHANGE} WHERE seq = ?) \
             FROM {CHANGE} AS c JOIN {READER} AS r ON r.name = ? ORDER BY c.seq DESC LIMIT 1"
        );
        let params = [number(from.order), reader.name.as_str().into()];
        let link = &mut *self.pool.get().await?;
        let rows = fetch_on(link, Access::Read, &sql, &params).await.map_err(lost_table)?.rows;
        let row = rows.into_iter().next().ok_or_else(unknown_reader)?;
        let [seq, Value::Text(mark), Value::Timestamp(at), newest, acknowledged, reason, own_mark] =
            row.as_slice()
        else {
            return Err(lost("the table of changes is malformed"));
        };
        if let Some(reason) = reason.as_text() {
            return Err(lost(reason));
        }
        let (end, acknowledged) = (order(seq), order(acknowledged));
        if acknowledged <= from.order {
            check_mark(from, own_mark.as_text())?;
        }
        // What is verified now held when the last change was recorded.
        let mut is_verified = end <= from.order && self.is_recently_verified();
        if !is_verified {
            let tables: Vec<String> = reader.tables.iter().map(|table| table.name.clone()).collect();
            is_verified = capture::is_verified(link, &tables).await.map_err(lost_table)?;
            self.set_verified(is_verified);
        }
        Ok(Look {
            end: Position { order: end, token: Some(mark.clone()) },
            committed_at: *at,
            acknowledged,
            newest_layout: newest.as_integer().unwrap_or(0),
            is_verified,
        })
    }

    async fn follow(&self, seen: u64) -> Result<()> {
        let pool = self.pool.clone();
        // The server has no transactions for this, so that it goes on if its caller gives up.
        let following = tokio::spawn(async move {
            let mut sequencer = Sequencer::begin(&pool).await?;
            sequencer.run().await?;
            capture::follow(sequencer.link()?, seen).await?;
            sequencer.run().await?;
            sequencer.end().await
        });
        following.await.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "the triggers could not be made anew").with_source(panic))
        })
    }

    async fn layouts(&self, reader: &LogReader) -> Result<ReadLayouts> {
        let link = &mut *self.pool.get().await?;
        let sources = sources(link).await.map_err(lost_table)?;
        ReadLayouts::new(link, reader, &sources).await.map_err(lost_table)
    }

    async fn read(&self, layouts: &ReadLayouts, behind: u64, up_to: u64) -> Result<Chunk> {
        layouts.read(&mut *self.pool.get().await?, behind, up_to).await.map_err(lost_table)
    }

    async fn acknowledge(&self, reader: &str, order: u64) -> Result<()> {
        {
            let link = &mut *self.pool.get().await?;
            let head = scalar(link, &format!("SELECT max(seq) FROM {CHANGE}"), &[]).await?.unwrap_or(0);
            let order = order.min(u64::try_from(head).unwrap_or(0));
            let sql = format!("UPDATE {READER} SET acknowledged = ? WHERE name = ? AND acknowledged < ?");
            let params = [number(order), reader.into(), number(order)];
            execute_on(link, Access::Write, &sql, &params).await?;
        }
        while self.delete_some().await? {}
        Ok(())
    }
}
