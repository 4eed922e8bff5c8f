//! Conflicts as they are kept: both versions of the row, and which of them stayed.

use data::table::{ColumnType, Row, Table, TableColumn, TableStore};
use data::{Timestamp, Value, json_from_value};
use serde_json::{Map, Value as Json};

use super::super::control_tables::{row_of, table};
use crate::snapshot::key_text;
use crate::stats::Winner;

/// The name of the table.
pub(super) const NAME: &str = "replicaverse_conflict";

/// Creates the table of conflicts where it is missing.
pub(super) async fn create_table(store: &dyn TableStore) -> data::Result<Table> {
    let text = || ColumnType::Text(None);
    let columns = [
        ("reader", text()),
        ("rule", text()),
        ("collection", text()),
        ("row_key", text()),
        ("winner", text()),
        ("source_row", text()),
        ("target_row", text()),
        ("decided_at", ColumnType::Int64),
    ];
    store.create_like(&table(NAME, &columns)).await
}

/// A conflict that was decided.
pub(super) struct Record<'a> {
    pub(super) reader: &'a str,
    pub(super) rule: &'a str,
    pub(super) collection: &'a str,
    /// The key, as the source has it.
    pub(super) key: &'a [Value],
    pub(super) winner: Winner,
    pub(super) source: Option<Json>,
    pub(super) target: Option<Json>,
}

impl Record<'_> {
    /// The row of `replicaverse_conflict`.
    pub(super) fn row(&self, table: &Table) -> Row {
        let json = |row: &Option<Json>| Value::from(row.as_ref().map(Json::to_string));
        let values = [
            ("reader", Value::from(self.reader)),
            ("rule", Value::from(self.rule)),
            ("collection", Value::from(self.collection)),
            ("row_key", Value::from(key_text(self.key))),
            ("winner", Value::from(self.winner.name())),
            ("source_row", json(&self.source)),
            ("target_row", json(&self.target)),
            ("decided_at", Value::Int64(Timestamp::now().0)),
        ];
        row_of(table, &uuid::Uuid::new_v4().to_string(), &values)
    }
}

/// A row as JSON, by the names of its columns.
pub(super) fn json_of(columns: &[TableColumn], row: &[Value]) -> Json {
    let fields = columns.iter().zip(row).map(|(column, value)| (column.name.clone(), json_from_value(value)));
    Json::Object(fields.collect::<Map<_, _>>())
}
