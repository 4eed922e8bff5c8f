//! Rows column by column as JavaScript's JSON text.

use data::{RowSet, Rows, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::finish::{Finish, finish_of};
use super::write::{Bare, Tagged, write_records};

/// The text of rows.
///
/// # Errors
/// None is known: every value has a form in the encoding.
pub(crate) fn write_rows(rows: &Rows) -> data::Result<String> {
    match rows {
        Rows::Records(records) => write_records(records),
        Rows::Uniform(set) => serde_json::to_string(&Columns(set))
            .map_err(|error| data::Error::new(data::ErrorKind::Internal, format!("rows as JSON: {error}"))),
    }
}

struct Columns<'a>(&'a RowSet);

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let RowSet { columns, rows } = self.0;
        let positions = 0..columns.len();
        let finish: Vec<Option<Finish>> =
            positions.clone().map(|at| finish_of(rows.iter().filter_map(|row| row.get(at)))).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("names", columns)?;
        let values: Vec<Column<'_>> =
            positions.zip(&finish).map(|(at, finish)| Column { rows, at, finish: *finish }).collect();
        map.serialize_entry("values", &values)?;
        if finish.iter().any(Option::is_some) {
            let names: Vec<_> = finish.iter().map(|finish| finish.map(Finish::name)).collect();
            map.serialize_entry("finish", &names)?;
        }
        map.end()
    }
}

/// The values of one column.
struct Column<'a> {
    rows: &'a [Vec<Value>],
    at: usize,
    finish: Option<Finish>,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.rows.iter().map(|row| row.get(self.at).unwrap_or(&Value::Null));
        match self.finish {
            Some(Finish::Tagged) => serializer.collect_seq(values.map(Tagged)),
            _ => serializer.collect_seq(values.map(Bare)),
        }
    }
}

#[cfg(test)]
mod tests {
    use data::Timestamp;

    use super::*;

    #[test]
    fn rows_are_written_column_by_column() {
        let set = RowSet {
            columns: vec!["id".to_owned(), "at".to_owned(), "any".to_owned()],
            rows: vec![
                vec!["a".into(), Value::Timestamp(Timestamp(5_000)), Value::Bytes(vec![1].into())],
                vec!["b".into(), Value::Null, 7.into()],
            ],
        };
        assert_eq!(
            write_rows(&Rows::Uniform(set)).unwrap(),
            r#"{"names":["id","at","any"],"values":[["a","b"],[5,null],[{"$$bytes":"AQ=="},7]],"finish":[null,"date","tagged"]}"#
        );
        let empty = RowSet { columns: vec!["id".to_owned()], rows: Vec::new() };
        assert_eq!(write_rows(&Rows::Uniform(empty)).unwrap(), r#"{"names":["id"],"values":[[]]}"#);
    }
}
