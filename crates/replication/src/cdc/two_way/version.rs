//! What both sides held when they last agreed on a key, as fingerprints of their rows.

use data::Value;
use data::table::{ColumnType, Row, Table, TableStore};
use sha2::{Digest, Sha256};

use super::super::control_tables::{Fields, row_of, signed, table};
use super::super::typed_json::typed_text;
use super::side::Which;
use crate::snapshot::canonical_key;

/// How many bytes of a hash a fingerprint holds.
const BYTES: usize = 16;
/// What no row has. A side with it has changed in any case.
pub(super) const NO_ROW_HAS: &str = "-";

/// Fingerprints of what both sides held; none of a row that was not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Version {
    /// Grows with every agreement on the key; 0 if there never was one.
    pub(super) number: u64,
    pub(super) source: Option<String>,
    pub(super) target: Option<String>,
}

impl Version {
    /// The fingerprint of a side.
    pub(super) fn of(&self, side: Which) -> Option<&str> {
        match side {
            Which::Source => self.source.as_deref(),
            Which::Target => self.target.as_deref(),
        }
    }

    /// The row of `replicaverse_version`.
    pub(super) fn row(&self, table: &Table, id: &str, reader: &str) -> Row {
        let values = [
            ("reader", Value::from(reader)),
            ("number", signed(self.number)),
            ("source_row", Value::from(self.source.clone())),
            ("target_row", Value::from(self.target.clone())),
        ];
        row_of(table, id, &values)
    }

    /// The id and the version that a row of `replicaverse_version` holds.
    pub(super) fn of_row(table: &Table, row: &Row) -> (String, Self) {
        let fields = Fields::of(table, row);
        let text = |name: &str| fields.text(name).map(str::to_owned);
        let version = Self {
            number: fields.unsigned("number"),
            source: text("source_row"),
            target: text("target_row"),
        };
        (fields.key().to_owned(), version)
    }
}

/// Creates the table of versions where it is missing.
pub(super) async fn create_table(store: &dyn TableStore) -> data::Result<Table> {
    let text = || ColumnType::Text(None);
    let columns =
        [("reader", text()), ("number", ColumnType::Int64), ("source_row", text()), ("target_row", text())];
    store.create_like(&table(NAME, &columns)).await
}

/// The name of the table of versions.
pub(super) const NAME: &str = "replicaverse_version";

/// The id of the version of a key, given as the source has it.
pub(super) fn id_of(name: &str, collection: &str, source_key: &[Value]) -> String {
    let mut hash = Sha256::new();
    for part in [collection, &canonical_key(source_key)] {
        // The length keeps two parts from running into each other.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{name}:{}", hexadecimal(hash))
}

/// The fingerprint of columns, given by name. A column that holds NULL adds nothing, so that one that is new changes no
/// fingerprint.
pub(super) fn fingerprint<'a>(columns: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in columns.filter(|(_, value)| !value.is_null()) {
        let value = typed_text(std::slice::from_ref(value));
        for part in [name, &value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hexadecimal(hash)
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_a_value_changes_no_fingerprint() {
        let (one, null) = (Value::Int32(1), Value::Null);
        let before = fingerprint([("a", &one)].into_iter());
        assert_eq!(before, fingerprint([("a", &one), ("b", &null)].into_iter()));
        assert_ne!(before, fingerprint([("b", &one)].into_iter()));
        assert_ne!(before, fingerprint([("a", &Value::from("1"))].into_iter()));
    }

    #[test]
    fn the_id_of_a_version_fits_the_key_of_its_table() {
        let id = id_of("replicaverse_0123456789abcdef", "items", &[Value::from("x".repeat(500))]);
        assert!(id.len() <= 120, "{id}");
        assert_ne!(id, id_of("replicaverse_0123456789abcdef", "item", &[Value::from("sx")]));
    }
}
