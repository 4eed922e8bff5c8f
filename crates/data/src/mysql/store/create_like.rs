//! Making a table like one of another database.

use super::super::catalog;
use super::super::error::says_it_exists;
use super::super::pool::Link;
use super::super::server::ServerKind;
use super::super::syntax::quote;
use super::super::types::{ddl_type, is_long, key_type};
use crate::error::Result;
use crate::table::{ColumnType, Table, TableColumn};

/// The characters that the columns of a key may have together, and the longest that one is made.
const KEY_CHARACTERS: usize = 768;
const LONGEST_KEY: usize = 512;
/// The characters that a number or a date takes of them, with something to spare.
const FIXED_CHARACTERS: usize = 16;
/// The bytes that short text may take of a row's 65,535; what is more is kept beside the row, in columns without a length.
const SHORT_TEXT_BYTES: usize = 32_000;
const BYTES_OF_CHARACTER: usize = 4;

/// Creates the table unless it exists, else adds the columns that it lacks. Both are repeatable, so that two processes
/// may do it at once.
pub(super) async fn create_like(link: &mut Link, source: &Table) -> Result<()> {
    if let Some(existing) = catalog::describe(link, &source.name).await? {
        return add_missing_columns(link, &existing.table, source).await;
    }
    let mut room = SHORT_TEXT_BYTES;
    let most = key_characters(source);
    let mut definitions: Vec<String> = source
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| match source.key.contains(&position) {
            true => format!("{} {} NOT NULL", quote(&column.name), key_type(&column.column_type, most)),
            false => definition(column, &mut room, !column.nullable),
        })
        .collect();
    let key = source.key.iter().filter_map(|position| source.columns.get(*position));
    let key: Vec<_> = key.map(|column| quote(&column.name)).collect();
    definitions.push(format!("PRIMARY KEY ({})", key.join(", ")));
    let options = table_options(link.server().kind);
    let (name, definitions) = (quote(&source.name), definitions.join(", "));
    link.run(&format!("CREATE TABLE IF NOT EXISTS {name} ({definitions}){options}")).await.map(drop)
}

fn table_options(server: ServerKind) -> String {
    format!(" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={}", server.exact_collation())
}

async fn add_missing_columns(link: &mut Link, existing: &Table, source: &Table) -> Result<()> {
    let is_missing = |column: &&TableColumn| {
        !existing.columns.iter().any(|own| own.name.eq_ignore_ascii_case(&column.name))
    };
    for column in source.columns.iter().filter(is_missing) {
        let definition = definition(column, &mut 0, false);
        let added = link.run(&format!("ALTER TABLE {} ADD COLUMN {definition}", quote(&existing.name))).await;
        match added {
            Err(error) if says_it_exists(&error) => {}
            added => drop(added?),
        }
    }
    Ok(())
}

/// A column that is no key. Text with a length keeps it as far as the row has room.
pub(super) fn definition(column: &TableColumn, room: &mut usize, not_null: bool) -> String {
    let own_type = match &column.column_type {
        ColumnType::Text(Some(longest)) => {
            let bytes = (*longest as usize).saturating_mul(BYTES_OF_CHARACTER) + 2;
            match room.checked_sub(bytes) {
                Some(left) => {
                    *room = left;
                    format!("VARCHAR({})", (*longest).max(1))
                }
                None => "LONGTEXT".to_owned(),
            }
        }
        column_type => ddl_type(column_type),
    };
    format!("{} {own_type}{}", quote(&column.name), if not_null { " NOT NULL" } else { "" })
}

/// How many characters a text column of the key may have.
pub(super) fn key_characters(source: &Table) -> u32 {
    let types = source.key.iter().filter_map(|position| source.columns.get(*position));
    let long = types.filter(|column| is_long(&column.column_type)).count();
    let fixed = source.key.len().saturating_sub(long) * FIXED_CHARACTERS;
    let each = KEY_CHARACTERS.saturating_sub(fixed) / long.max(1);
    u32::try_from(each.clamp(1, LONGEST_KEY)).unwrap_or(1)
}
