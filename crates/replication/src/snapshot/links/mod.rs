//! Links of many-to-many relations as part of the rows they belong to.
//!
//! In MongoDB a document lists the ids that it is linked to; in SQL each link is a row of a junction table. Here a table
//! of SQL is given the list as a further column, filled from the junction when rows are read and carried back into it
//! when they are written, so that whoever compares and copies rows need not know of junctions.

mod columns;
mod junction;
mod scan;
mod tables;

pub(super) use tables::LinkedTables;

use data::schema::JunctionNames;
use data::table::{ColumnType, Limits, TableColumn, coerce};
use data::{ObjectId, Value};

/// A relation whose links are listed in a column.
#[derive(Clone)]
pub(crate) struct Link {
    /// The column.
    pub(super) field: String,
    pub(super) junction: JunctionNames,
}

/// The column that lists links.
pub(super) fn list_column(field: &str) -> TableColumn {
    TableColumn { name: field.to_owned(), column_type: ColumnType::Json, nullable: true, generated: false }
}

/// A list of links in the form of one side: no id twice, in one order. 24 hexadecimal digits are an object id in a
/// document, as the keys that they point to are. A document without links has no list.
pub(super) fn list_of(value: Value, in_document: bool) -> Value {
    let ids = link_ids(&value);
    if in_document && ids.is_empty() {
        return Value::Null;
    }
    let form = |id: String| match ObjectId::parse(&id).filter(|_| in_document) {
        Some(id) => Value::ObjectId(id),
        None => Value::Text(id),
    };
    Value::Array(ids.into_iter().map(form).collect())
}

/// Whether two lists hold the same links.
pub(super) fn same_links(a: &Value, b: &Value) -> bool {
    link_ids(a) == link_ids(b)
}

/// The ids of a list as text, in order.
fn link_ids(value: &Value) -> Vec<String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        single => std::slice::from_ref(single),
    };
    let text = |item: &Value| coerce(item.clone(), &ColumnType::Text(None), &ANY).ok();
    let mut ids: Vec<String> = items
        .iter()
        .filter_map(text)
        .filter_map(|coerced| coerced.value.as_text().map(str::to_owned))
        .filter(|id| !id.is_empty())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Lists may hold whatever there is.
const ANY: Limits = Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_links_are_equal_in_any_order_and_form() {
        let hex = "65a1f0c2d4e5b6a798897766";
        let id = Value::ObjectId(ObjectId::parse(hex).unwrap());
        let in_sql = Value::Array(vec![hex.into(), "b".into()]);
        assert!(same_links(&in_sql, &Value::Array(vec!["b".into(), id.clone(), "b".into()])));
        assert!(same_links(&Value::Null, &Value::Array(Vec::new())));
        assert!(!same_links(&in_sql, &Value::Array(vec![id.clone()])));
        assert_eq!(list_of(in_sql, true), Value::Array(vec![id, "b".into()]));
        assert_eq!(list_of(Value::Array(Vec::new()), true), Value::Null);
    }
}
