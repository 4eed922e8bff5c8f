//! How far a reader's changes have been applied: one row on the target, written in the transaction that applies them.

use std::sync::Arc;

use data::log::Position;
use data::table::{Row, RowPatch, ScanOptions, Table, TableTransaction};
use data::{Result, Timestamp, Value};

use super::control_tables::{Fields, row_of, signed};
use super::history::History;
use super::provenance::OwnRows;
use super::schema_change::KnownTables;
use crate::snapshot::End;

/// What a checkpoint stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first copy is under way; the changes to be applied after it begin at the position.
    Copy,
    /// Every change up to the position has been applied.
    Stream,
}

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) reader: String,
    pub(super) rule: String,
    pub(super) phase: Phase,
    /// The tables of the source that were copied or are being copied, with their columns at that time.
    pub(super) tables: KnownTables,
    pub(super) position: Position,
    /// How many changes of the transaction behind the position have been applied, where a transaction had to be split.
    pub(super) ordinal: u64,
    /// Where the batch began that was applied last.
    pub(super) from: u64,
    /// Grows with every change of the process that applies; whoever finds another one has lost its lease.
    pub(super) epoch: u64,
    /// When the last transaction applied was committed at the source.
    pub(super) committed_at: Timestamp,
    /// When it was applied, by the clock of this process.
    pub(super) applied_at: Timestamp,
    /// The keys that the source held at the position, where that is kept.
    pub(super) own_rows: OwnRows,
    /// By what a bidirectional rule tells that a side is no longer what it was.
    pub(super) history: History,
    /// What the databases have in common that may take the place of the source.
    pub(super) lineage: Option<String>,
}

impl Checkpoint {
    /// Reads the checkpoint of a reader, and keeps others from changing it until the end of the transaction.
    pub(super) async fn load(
        transaction: &mut dyn TableTransaction,
        table: &Table,
        reader: &str,
    ) -> Result<Option<Self>> {
        let rows = transaction.fetch(table, &[vec![Value::from(reader)]]).await?;
        Ok(rows.first().map(|row| Self::of_row(table, row)))
    }

    /// Writes it.
    pub(super) async fn store(&self, transaction: &mut dyn TableTransaction, table: &Table) -> Result<()> {
        transaction.upsert(table, &[self.row(table)]).await
    }

    /// Writes how far the reader has come; the rest stays as it is stored.
    pub(super) async fn advance(&self, transaction: &mut dyn TableTransaction, table: &Table) -> Result<()> {
        let row = self.row(table);
        let keeps_own_rows = !self.own_rows.is_empty();
        let moves = |name: &str| match name {
            "rule" | "tables" => false,
            "own_rows" => keeps_own_rows,
            _ => true,
        };
        let values = table
            .columns
            .iter()
            .zip(row)
            .enumerate()
            .filter(|(position, (column, _))| moves(&column.name) && !table.key.contains(position));
        let values = values.map(|(position, (_, value))| (position, value)).collect();
        let patch = RowPatch { key: vec![Value::from(self.reader.as_str())], values };
        transaction.patch(table, &[patch]).await.map(drop)
    }

    /// Whether another one found in its place was written by the same process at the same point.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        (self.position.order, self.ordinal, self.epoch, self.phase)
            == (other.position.order, other.ordinal, other.epoch, other.phase)
    }

    pub(super) fn of_row(table: &Table, row: &Row) -> Self {
        let fields = Fields::of(table, row);
        let tables = fields.text("tables").and_then(|text| serde_json::from_str(text).ok());
        let own_rows = fields.text("own_rows").and_then(|text| serde_json::from_str(text).ok());
        Self {
            reader: fields.key().to_owned(),
            rule: fields.text("rule").unwrap_or_default().to_owned(),
            phase: if fields.text("phase") == Some("stream") { Phase::Stream } else { Phase::Copy },
            tables: tables.unwrap_or_default(),
            position: Position {
                order: fields.unsigned("position"),
                token: fields.text("token").map(str::to_owned),
            },
            ordinal: fields.unsigned("ordinal"),
            from: fields.unsigned("from_position"),
            epoch: fields.unsigned("epoch"),
            committed_at: Timestamp(fields.integer("committed_at")),
            applied_at: Timestamp(fields.integer("applied_at")),
            own_rows: own_rows.unwrap_or_default(),
            history: History::of_text(fields.text("history")),
            lineage: fields.text("lineage").map(str::to_owned),
        }
    }

    fn row(&self, table: &Table) -> Row {
        let phase = if self.phase == Phase::Stream { "stream" } else { "copy" };
        let tables = serde_json::to_string(&self.tables).unwrap_or_default();
        let own_rows = Some(&self.own_rows).filter(|own| !own.is_empty());
        let own_rows = own_rows.and_then(|own| serde_json::to_string(own).ok());
        let values = [
            ("rule", Value::from(self.rule.as_str())),
            ("phase", Value::from(phase)),
            ("tables", Value::from(tables)),
            ("position", signed(self.position.order)),
            ("token", Value::from(self.position.token.clone())),
            ("ordinal", signed(self.ordinal)),
            ("from_position", signed(self.from)),
            ("epoch", signed(self.epoch)),
            ("committed_at", Value::Int64(self.committed_at.0)),
            ("applied_at", Value::Int64(self.applied_at.0)),
            ("own_rows", Value::from(own_rows)),
            ("history", Value::from(self.history.to_text())),
            ("lineage", Value::from(self.lineage.clone())),
        ];
        row_of(table, &self.reader, &values)
    }
}

/// The checkpoints of every rule of this name, whatever its source.
pub(super) async fn checkpoints_of(target: &End, table: &Table, rule: &str) -> Result<Vec<Checkpoint>> {
    let snapshot = target.tables()?.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await?;
    let mut of_rule = Vec::new();
    while let Some(batch) = batches.recv().await {
        let found = batch?.into_rows()?.into_iter().map(|row| Checkpoint::of_row(table, &row));
        of_rule.extend(found.filter(|checkpoint| checkpoint.rule == rule));
    }
    Ok(of_rule)
}
