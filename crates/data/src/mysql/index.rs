//! Indexes, and names within the lengths that these servers take.

use super::syntax::quote;
use crate::schema::FieldType;
use crate::sql::{Coverage, NewIndex};
use crate::table::OWN_TABLE_PREFIX;

/// The bytes that all columns of an index may have.
const MOST_INDEX_BYTES: usize = 3072;
const BYTES_OF_CHARACTER: usize = 4;
/// The characters of a `VARCHAR` of ours.
const STRING_CHARACTERS: usize = 255;
/// The bytes that an index needs for a number or a date, with something to spare.
const FIXED_BYTES: usize = 16;

/// The generated column that tells rows which are not softly deleted: a unique index over a field and this column leaves
/// the others out, as NULL collides with nothing.
pub(super) fn live_marker() -> String {
    format!("{OWN_TABLE_PREFIX}live")
}

/// The statements that make an index. There are none over a part of the rows: a missing value collides with nothing anyway,
/// and those of softly deleted rows are left out by a further column.
pub(super) fn create(index: &NewIndex<'_>) -> Vec<String> {
    let mut columns = index_columns(index);
    let mut statements = Vec::new();
    let table = quote(index.table);
    if let Coverage::Without(column) = index.coverage {
        let marker = quote(&live_marker());
        statements.push(format!(
            "ALTER TABLE {table} ADD COLUMN {marker} TINYINT(1) AS (IF({} IS NULL, 1, NULL)) VIRTUAL INVISIBLE",
            quote(column)
        ));
        columns.push(marker);
    }
    statements.push(format!(
        "CREATE {}INDEX {} ON {table} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote(&index.name),
        columns.join(", ")
    ));
    statements
}

/// The columns of an index. Long text is indexed by its beginning, where that does not change what is unique.
fn index_columns(index: &NewIndex<'_>) -> Vec<String> {
    let is_text =
        |field_type| !matches!(field_type, FieldType::Number | FieldType::Boolean | FieldType::Date);
    let texts = index.columns.iter().filter(|(_, field_type, _)| is_text(*field_type)).count();
    let fixed = (index.columns.len() - texts) * FIXED_BYTES;
    let most = MOST_INDEX_BYTES.saturating_sub(fixed) / BYTES_OF_CHARACTER / texts.max(1);
    let column = |(name, field_type, descending): &(&str, FieldType, bool)| {
        let is_whole = *field_type == FieldType::String && most >= STRING_CHARACTERS;
        let prefix = if index.unique || is_whole || !is_text(*field_type) {
            String::new()
        } else {
            format!("({})", most.min(STRING_CHARACTERS))
        };
        format!("{}{prefix}{}", quote(name), if *descending { " DESC" } else { "" })
    };
    index.columns.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_stays_within_what_the_server_allows() {
        let column = |field_type| ("c", field_type, false);
        let index = |columns, unique| {
            let name = "i".to_owned();
            let index = NewIndex { name, table: "t", columns, unique, coverage: Coverage::All };
            create(&index).remove(0)
        };
        let whole = index(vec![column(FieldType::String), column(FieldType::Number)], false);
        assert_eq!(whole, "CREATE INDEX `i` ON `t` (`c`, `c`)");
        assert!(index(vec![column(FieldType::Text)], false).contains("`c`(255)"));
        assert!(index(vec![column(FieldType::String); 4], false).contains("`c`(192)"));
        assert!(!index(vec![column(FieldType::String); 4], true).contains("(192)"));
    }
}
