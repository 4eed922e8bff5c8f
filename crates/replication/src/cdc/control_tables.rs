//! The tables that capture keeps on its target: how far it has come, what it has copied, who runs it, and which rows it
//! has set aside.

use data::table::{ColumnType, Row, Table, TableColumn, TableStore};
use data::{Result, Value};

/// The longest key of a control table, in characters. MySQL indexes no text without a length.
const KEY_LENGTH: u32 = 120;

/// The column that is the key of every control table.
pub(super) const KEY: &str = "id";

/// The column that names the reader, in the tables that hold many rows of one.
pub(super) const READER: &str = "reader";

/// The control tables of a target, as it describes them.
pub(super) struct ControlTables {
    /// How far each reader has come.
    pub(super) checkpoint: Table,
    /// Rows that the target refused.
    pub(super) dead_letter: Table,
    /// The parts of a first copy.
    pub(super) chunk: Table,
    /// Who runs each reader.
    pub(super) lease: Table,
}

impl ControlTables {
    /// Creates those that are missing.
    pub(super) async fn create(target: &dyn TableStore) -> Result<Self> {
        let [checkpoint, dead_letter, chunk, lease] = definitions();
        Ok(Self {
            checkpoint: target.create_like(&checkpoint).await?,
            dead_letter: target.create_like(&dead_letter).await?,
            chunk: target.create_like(&chunk).await?,
            lease: target.create_like(&lease).await?,
        })
    }

    /// Those of a target that has them all.
    pub(super) async fn existing(target: &dyn TableStore) -> Result<Option<Self>> {
        let mut described = Vec::with_capacity(4);
        for table in definitions() {
            match target.describe(&table.name).await? {
                // Documents do not tell by which of their fields they are keyed.
                Some(_) => described.push(target.create_like(&table).await?),
                None => return Ok(None),
            }
        }
        let mut described = described.into_iter();
        let mut next = || described.next();
        Ok((|| Some(Self { checkpoint: next()?, dead_letter: next()?, chunk: next()?, lease: next()? }))())
    }
}

fn definitions() -> [Table; 4] {
    use ColumnType::{Int64, Text};
    let text = || Text(None);
    [
        table(
            "replicaverse_checkpoint",
            &[
                ("rule", text()),
                ("phase", text()),
                ("tables", text()),
                ("position", Int64),
                ("token", text()),
                ("ordinal", Int64),
                ("from_position", Int64),
                ("epoch", Int64),
                ("committed_at", Int64),
                ("applied_at", Int64),
                ("own_rows", text()),
                ("history", text()),
                ("lineage", text()),
            ],
        ),
        table(
            "replicaverse_dead_letter",
            &[
                (READER, text()),
                ("collection", text()),
                ("row_key", text()),
                ("operation", text()),
                ("content", text()),
                ("error_code", text()),
                ("error", text()),
                ("position", Int64),
                ("attempts", Int64),
                ("first_at", Int64),
                ("last_at", Int64),
            ],
        ),
        table(
            "replicaverse_chunk",
            &[
                (READER, text()),
                ("source_table", text()),
                ("number", Int64),
                ("upper_bound", text()),
                ("epoch", Int64),
                ("begun", Int64),
                ("position", Int64),
                ("token", text()),
                ("copied", Int64),
            ],
        ),
        table(
            "replicaverse_lease",
            &[("owner", text()), ("epoch", Int64), ("expires_at", Int64), ("sessions", text())],
        ),
    ]
}

pub(super) fn table(name: &str, columns: &[(&str, ColumnType)]) -> Table {
    let key = TableColumn {
        name: KEY.to_owned(),
        column_type: ColumnType::Text(Some(KEY_LENGTH)),
        nullable: false,
        generated: false,
    };
    let others = columns.iter().map(|(name, column_type)| TableColumn {
        name: (*name).to_owned(),
        column_type: column_type.clone(),
        nullable: true,
        generated: false,
    });
    Table {
        name: name.to_owned(),
        columns: std::iter::once(key).chain(others).collect(),
        key: vec![0],
        references: Vec::new(),
    }
}

/// A row of a control table; columns that are not named hold NULL.
pub(super) fn row_of(table: &Table, key: &str, values: &[(&str, Value)]) -> Row {
    let value = |column: &TableColumn| {
        if column.name == KEY {
            return Value::from(key);
        }
        values
            .iter()
            .find(|(name, _)| *name == column.name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    table.columns.iter().map(value).collect()
}

/// Reads a row of a control table by the names of its columns.
pub(super) struct Fields<'a> {
    table: &'a Table,
    row: &'a Row,
}

impl<'a> Fields<'a> {
    pub(super) fn of(table: &'a Table, row: &'a Row) -> Self {
        Self { table, row }
    }

    pub(super) fn key(&self) -> &'a str {
        self.text(KEY).unwrap_or_default()
    }

    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        self.value(column)?.as_text()
    }

    /// 0 where there is none.
    pub(super) fn integer(&self, column: &str) -> i64 {
        match self.value(column) {
            Some(Value::Int64(number)) => *number,
            Some(Value::Int32(number)) => i64::from(*number),
            _ => 0,
        }
    }

    /// A number that was kept as a signed one.
    pub(super) fn unsigned(&self, column: &str) -> u64 {
        u64::try_from(self.integer(column)).unwrap_or(0)
    }

    fn value(&self, column: &str) -> Option<&'a Value> {
        self.row.get(self.table.position(column)?)
    }
}

/// A number for a column of signed ones; positions and counts are far below the largest.
pub(super) fn signed(number: u64) -> Value {
    Value::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}
