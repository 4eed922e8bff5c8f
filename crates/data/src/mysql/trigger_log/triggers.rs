//! The triggers that record the changes of a table, and the table that holds the values.

use super::super::syntax::quote;
use super::layout::{Layout, LayoutColumn};
use super::own_tables::{INBOX, OPERATION_DELETE, OPERATION_INSERT, OPERATION_UPDATE, values_table};
use crate::table::OWN_TABLE_PREFIX;

/// The names of the triggers of a source.
pub(super) fn names(source: i64) -> [String; 3] {
    ["insert", "update", "delete"].map(|event| format!("{OWN_TABLE_PREFIX}{source}_{event}"))
}

/// The statement that creates the table for the values of a layout: the old key, and behind it the row.
pub(super) fn create_values(source: i64, layout: &Layout) -> String {
    let old = layout.key_columns().enumerate().map(|(i, column)| definition(&format!("o{i}"), column));
    let new = layout.columns.iter().enumerate().map(|(i, column)| definition(&format!("v{i}"), column));
    let columns: String = old.chain(new).map(|definition| format!(", {definition}")).collect();
    let table = values_table(source);
    format!("CREATE TABLE {table} (id BIGINT UNSIGNED NOT NULL PRIMARY KEY{columns}) ENGINE=InnoDB")
}

fn definition(name: &str, column: &LayoutColumn) -> String {
    let text = match (&column.character_set, &column.collation) {
        (Some(set), Some(collation)) => format!(" CHARACTER SET {set} COLLATE {collation}"),
        _ => String::new(),
    };
    format!("{name} {}{text} NULL", column.column_type)
}

/// The statements that create the triggers of a source.
pub(super) fn create(source: i64, table: &str, layout: &Layout) -> [String; 3] {
    let (old_names, old): (Vec<String>, Vec<String>) = layout
        .key_columns()
        .enumerate()
        .map(|(i, column)| (format!("o{i}"), format!("OLD.{}", quote(&column.name))))
        .unzip();
    let (new_names, new) = row(layout, "NEW.");
    let bytes = bytes(layout, "NEW.");
    let [insert, update, delete] = names(source);
    let trigger =
        |name: &str, event: &str, operation: &str, bytes: &str, names: &[String], values: &[String]| {
            format!(
                "CREATE TRIGGER {name} AFTER {event} ON {} FOR EACH ROW BEGIN {}; {}; END",
                quote(table),
                record(source, operation, bytes),
                record_values(source, names, &format!("VALUES (LAST_INSERT_ID(), {})", values.join(", "))),
            )
        };
    [
        trigger(&insert, "INSERT", OPERATION_INSERT, &bytes, &new_names, &new),
        trigger(
            &update,
            "UPDATE",
            OPERATION_UPDATE,
            &bytes,
            &[old_names.clone(), new_names].concat(),
            &[old.clone(), new].concat(),
        ),
        trigger(&delete, "DELETE", OPERATION_DELETE, "0", &old_names, &old),
    ]
}

/// The statements that record a row as it is now, by a condition on its key.
pub(super) fn record_again(source: i64, table: &str, layout: &Layout, condition: &str) -> [String; 2] {
    let key: Vec<String> = layout.key_columns().map(|column| quote(&column.name)).collect();
    let old_names: Vec<String> = (0..key.len()).map(|i| format!("o{i}")).collect();
    let (new_names, new) = row(layout, "");
    let values = format!(
        "SELECT LAST_INSERT_ID(), {} FROM {} WHERE {condition}",
        [key, new].concat().join(", "),
        quote(table)
    );
    [record(source, OPERATION_UPDATE, "0"), record_values(source, &[old_names, new_names].concat(), &values)]
}

fn row(layout: &Layout, prefix: &str) -> (Vec<String>, Vec<String>) {
    let columns = layout.columns.iter().enumerate();
    columns.map(|(i, column)| (format!("v{i}"), format!("{prefix}{}", quote(&column.name)))).unzip()
}

/// How many bytes the values take that may be long.
fn bytes(layout: &Layout, prefix: &str) -> String {
    let long = layout.columns.iter().filter(|column| column.is_long());
    let lengths = long.map(|column| format!(" + COALESCE(LENGTH({prefix}{}), 0)", quote(&column.name)));
    format!("0{}", lengths.collect::<String>())
}

fn record(source: i64, operation: &str, bytes: &str) -> String {
    format!(
        "INSERT INTO {INBOX} (source, operation, bytes, at) VALUES ({source}, '{operation}', {bytes}, UTC_TIMESTAMP(6))"
    )
}

fn record_values(source: i64, names: &[String], values: &str) -> String {
    format!("INSERT INTO {} (id, {}) {values}", values_table(source), names.join(", "))
}
