//! How a reader stands, for those who do not run it: from the log of its source and from the checkpoint at its target.

use data::log::{LogKind, Position};
use data::table::Table;
use data::{Result, Timestamp, Value};

use super::checkpoint::{Checkpoint, Phase};
use super::control_tables::ControlTables;
use super::identity::{Purpose, reader_name};
use crate::snapshot::End;

/// The name under which a rule applies the changes of a source to a target.
pub(crate) async fn applying_reader(rule: &str, source: &End, target: &End) -> Result<String> {
    reader_name(rule, source, target, Purpose::Apply).await
}

/// Whether a reader would go on from where it stands, without copying everything first.
pub(crate) async fn continues(source: &End, kind: LogKind, target: &End, reader: &str) -> Result<bool> {
    let Some(log) = source.tables()?.change_log(kind) else { return Ok(false) };
    let is_kept = log.status(reader).await?.is_some_and(|status| status.lost.is_none());
    let Some(checkpoints) = Checkpoints::find(target).await? else { return Ok(false) };
    Ok(is_kept && checkpoints.position(reader).await?.is_some())
}

/// Where the log of a source stands now, and the present by the source's clock.
pub(crate) async fn head_of(source: &End, kind: LogKind) -> Result<Option<(Position, Timestamp)>> {
    let tables = source.tables()?;
    let Some(log) = tables.change_log(kind) else { return Ok(None) };
    let head = log.head().await?;
    Ok(Some((head, tables.now().await?)))
}

/// Forgets a reader at its source. One that is unknown is no error.
pub(crate) async fn remove_log_of(source: &End, kind: LogKind, reader: &str) -> Result<()> {
    match source.tables()?.change_log(kind) {
        Some(log) => log.remove(reader).await,
        None => Ok(()),
    }
}

/// How far a reader has come, as its checkpoint tells.
pub(crate) struct StoredPosition {
    pub(crate) position: Position,
    /// When the last transaction applied was committed at the source.
    pub(crate) committed_at: Timestamp,
    /// Whether the first copy is whole.
    pub(crate) is_streaming: bool,
    /// The tables of the source that it reads.
    pub(crate) tables: Vec<String>,
}

/// The checkpoints at a target, which other processes may be writing.
pub(crate) struct Checkpoints {
    target: End,
    table: Table,
}

impl Checkpoints {
    /// Those of a target that has any.
    pub(crate) async fn find(target: &End) -> Result<Option<Self>> {
        let control = ControlTables::existing(target.tables()?).await?;
        Ok(control.map(|control| Self { target: target.clone(), table: control.checkpoint }))
    }

    /// How far a reader has come; `None` if it has not begun.
    pub(crate) async fn position(&self, reader: &str) -> Result<Option<StoredPosition>> {
        let rows = self.target.tables()?.fetch(&self.table, &[vec![Value::from(reader)]]).await?;
        let found = rows.first().map(|row| Checkpoint::of_row(&self.table, row));
        Ok(found.map(|found| StoredPosition {
            position: found.position,
            committed_at: found.committed_at,
            is_streaming: found.phase == Phase::Stream,
            tables: found.tables.into_keys().collect(),
        }))
    }
}
