//! Which results are asked for in binary form, and which statements are kept.

use std::sync::Arc;

use super::statements::PreparedStatements;
use super::*;
use crate::protocol::row::Format;

fn column(name: &str, type_oid: u32) -> Column {
    Column {
        name: name.to_owned(),
        table_oid: 0,
        column_id: 0,
        type_oid,
        type_size: -1,
        type_modifier: -1,
        format: Format::Text,
    }
}

fn formats(statements: &mut PreparedStatements, key: u64) -> Vec<Format> {
    let result = statements.get(key).and_then(|statement| statement.result.as_ref());
    let columns = result.and_then(|result| result.columns.clone());
    columns.iter().flat_map(|columns| columns.iter().map(|column| column.format)).collect()
}

#[test]
fn numbers_and_times_are_asked_for_in_binary_form_unless_the_application_reads_them_as_text() {
    let mut statements = PreparedStatements::new(4, Arc::default());
    statements.insert(1);
    let columns: Arc<[Column]> = [column("a", 23), column("b", 20), column("c", 1184)].into();
    statements.describe(1, Some(columns));
    assert_eq!(formats(&mut statements, 1), [Format::Binary, Format::Text, Format::Binary]);
    statements.set_text_types(Arc::new(TextTypes::new(vec![1184, 23])));
    assert_eq!(formats(&mut statements, 1), [Format::Text; 3]);
}

#[test]
fn the_statement_unused_for_longest_gives_way_and_is_closed() {
    let mut statements = PreparedStatements::new(2, Arc::default());
    for key in [1, 2] {
        statements.insert(key);
        statements.describe(key, None);
    }
    assert!(statements.get(1).is_some());
    statements.insert(3);
    assert!(statements.get(2).is_none() && statements.get(1).is_some());
    assert_eq!(statements.take_closing(), ["s2"]);
}

#[test]
fn a_statement_whose_description_is_on_its_way_does_not_give_way() {
    let mut statements = PreparedStatements::new(1, Arc::default());
    statements.insert(1);
    statements.insert(2);
    assert!(statements.get(1).is_some() && statements.get(2).is_some());
}
