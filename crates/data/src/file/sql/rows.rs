//! The rows of one table of a dump.

use std::collections::HashMap;
use std::path::Path;

use super::super::cell::Raw;
use super::super::error::{file_error, format_error};
use super::super::spec::SqlFlavor;
use super::super::text;
use super::copy_block::read_line;
use super::head::{Head, copy_head, insert_head};
use super::index::DumpTable;
use super::literal::read_row;
use super::scanner::{Piece, Scanner};
use crate::error::Result;

/// Hands on the rows of a table, each with a value for every column of the table.
///
/// # Errors
/// The file cannot be read, or a row is malformed; or what `visit` reports.
pub(in super::super) fn each_row(
    path: &Path,
    flavor: SqlFlavor,
    table: &DumpTable,
    visit: &mut dyn FnMut(Vec<Raw>) -> Result<bool>,
) -> Result<()> {
    let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let places: HashMap<&str, usize> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    for run in &table.runs {
        let mut reader = text::open(path)?;
        let from = i64::try_from(run.from).unwrap_or(i64::MAX);
        reader.seek_relative(from).map_err(|error| file_error(path, error))?;
        let mut scanner = Scanner::new(path, reader, flavor, run.lines_before, run.from);
        let mut columns: Vec<Option<usize>> = Vec::new();
        while let Some(placed) = scanner.next()? {
            if placed.statement > run.through {
                break;
            }
            let positions = |head: Option<Head>| -> Vec<Option<usize>> {
                let named = head.map(|head| head.columns).filter(|columns| !columns.is_empty());
                named
                    .as_ref()
                    .unwrap_or(&names)
                    .iter()
                    .map(|name| places.get(name.as_str()).copied())
                    .collect()
            };
            let values = match placed.piece {
                Piece::InsertHead(head) => {
                    columns = positions(insert_head(&head, flavor.syntax()));
                    continue;
                }
                Piece::CopyHead(head) => {
                    columns = positions(copy_head(&head));
                    continue;
                }
                Piece::Statement(_) => continue,
                Piece::InsertRow(row) => read_row(&row, flavor, path, placed.line)?,
                Piece::CopyRow(line) => read_line(&line),
            };
            if values.len() != columns.len() {
                let problem = format!(
                    "{} values for {} columns of table \"{}\"",
                    values.len(),
                    columns.len(),
                    table.name
                );
                return Err(format_error(path, placed.line, problem));
            }
            let mut row = vec![Raw::Null; names.len()];
            for (value, position) in values.into_iter().zip(&columns) {
                if let Some(slot) = position.and_then(|position| row.get_mut(position)) {
                    *slot = value;
                }
            }
            if !visit(row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::index::DumpIndex;
    use super::*;
    use crate::value::Value;

    fn dump(text: &str) -> Result<Vec<(String, Vec<Vec<Raw>>)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.sql");
        std::fs::write(&path, text).unwrap();
        let index = DumpIndex::read(&path, None)?;
        let mut tables = Vec::new();
        for table in &index.tables {
            let mut rows = Vec::new();
            each_row(&path, index.flavor, table, &mut |row| {
                rows.push(row);
                Ok(true)
            })?;
            assert_eq!(table.rows, rows.len() as u64);
            tables.push((table.name.clone(), rows));
        }
        Ok(tables)
    }

    fn cell(text: &str) -> Raw {
        Raw::Cell(text.to_owned())
    }

    fn integer(number: i64) -> Raw {
        Raw::Plain(Value::Int64(number))
    }

    #[test]
    fn rows_find_their_columns_wherever_they_stand() {
        let tables = dump(
            "\u{feff}-- PostgreSQL database dump\nCREATE TABLE public.a (id integer, name text);\n\
             INSERT INTO public.a VALUES (1, 'x');\nINSERT INTO b (id) VALUES (7),(8);\n\
             INSERT INTO a (name, id) VALUES ('y', 2);\n\
             COPY public.a (id, name) FROM stdin;\n3\t\\N\n\\.\n\nALTER TABLE ONLY public.a ADD CONSTRAINT k PRIMARY KEY (id);\n",
        )
        .unwrap();
        assert_eq!(
            tables,
            [
                (
                    "a".to_owned(),
                    vec![
                        vec![integer(1), cell("x")],
                        vec![integer(2), cell("y")],
                        vec![cell("3"), Raw::Null]
                    ]
                ),
                ("b".to_owned(), vec![vec![integer(7)], vec![integer(8)]]),
            ]
        );
    }

    #[test]
    fn a_row_that_does_not_fit_its_columns_is_named() {
        let error =
            dump("CREATE TABLE a (id integer, n integer);\nINSERT INTO a VALUES (1, 2),\n(3);").unwrap_err();
        assert!(error.to_string().contains("d.sql:3: 1 values for 2 columns"), "{error}");
        let error = dump("INSERT INTO a VALUES (1);").unwrap_err();
        assert!(error.to_string().contains("d.sql:1: nothing names the columns"), "{error}");
    }
}
