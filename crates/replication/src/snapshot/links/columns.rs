//! Tables and rows with and without the columns that list links.

use data::Value;
use data::table::{Row, Table};

use super::Link;

pub(super) fn single_key(table: &Table) -> Option<usize> {
    match table.key.as_slice() {
        [single] => Some(*single),
        _ => None,
    }
}

/// A table without the columns at these places.
pub(super) fn without(table: &Table, places: &[(usize, Link)]) -> Table {
    let is_list = |position: usize| places.iter().any(|(place, _)| *place == position);
    let before = |position: usize| places.iter().filter(|(place, _)| *place < position).count();
    Table {
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .enumerate()
            .filter(|(position, _)| !is_list(*position))
            .map(|(_, column)| column.clone())
            .collect(),
        key: table.key.iter().map(|position| position - before(*position)).collect(),
        references: table.references.clone(),
    }
}

/// Rows without the values at these places.
pub(super) fn rows_without(rows: &[Row], places: &[(usize, Link)]) -> Vec<Row> {
    let is_list = |position: usize| places.iter().any(|(place, _)| *place == position);
    let cut = |row: &Row| -> Row {
        let values = row.iter().enumerate().filter(|(position, _)| !is_list(*position));
        values.map(|(_, value)| value.clone()).collect()
    };
    rows.iter().map(cut).collect()
}

/// Makes room for the lists in rows that were read without them.
pub(super) fn make_room(rows: &mut [Row], places: &[(usize, Link)]) {
    let mut positions: Vec<usize> = places.iter().map(|(place, _)| *place).collect();
    positions.sort_unstable();
    for row in rows {
        for position in &positions {
            row.insert((*position).min(row.len()), Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use data::schema::JunctionNames;

    use super::super::list_column;
    use super::*;

    #[test]
    fn a_row_keeps_its_columns_around_the_lists() {
        let junction = JunctionNames { table: "j".into(), own: "a".into(), other: "b".into() };
        let link = |field: &str| Link { field: field.to_owned(), junction: junction.clone() };
        let places = [(1, link("x")), (3, link("y"))];
        let row = vec![Value::Int32(0), Value::Null, Value::Int32(2), Value::Null];
        let mut rows = rows_without(std::slice::from_ref(&row), &places);
        assert_eq!(rows, [vec![Value::Int32(0), Value::Int32(2)]]);
        make_room(&mut rows, &places);
        assert_eq!(rows, [row]);
        let columns = ["x", "k"].map(list_column).to_vec();
        let table = Table { name: "t".into(), columns, key: vec![1], references: Vec::new() };
        assert_eq!(without(&table, &places[..1]).key, [1]);
        assert_eq!(without(&table, &[(0, link("x"))]).key, [0]);
    }
}
