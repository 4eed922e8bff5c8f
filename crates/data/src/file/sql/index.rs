//! What a dump holds and where, found by reading it once.

use std::path::Path;

use super::super::error::format_error;
use super::super::spec::SqlFlavor;
use super::super::text;
use super::declare::{Declaration, declaration};
use super::flavor::find_flavor;
use super::head::{Head, copy_head, insert_head};
use super::scanner::{Piece, Scanner};
use crate::error::{Error, Result};
use crate::table::TableColumn;

/// The tables of a dump.
#[derive(Debug, Clone)]
pub(in super::super) struct DumpIndex {
    pub(in super::super) flavor: SqlFlavor,
    pub(in super::super) tables: Vec<DumpTable>,
    /// Statements that bring neither tables nor rows.
    pub(in super::super) passed_over: u64,
}

/// A table of a dump.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct DumpTable {
    pub(in super::super) name: String,
    /// As declared; without a type where only rows name them.
    pub(in super::super) columns: Vec<TableColumn>,
    pub(in super::super) is_declared: bool,
    pub(in super::super) key: Vec<String>,
    pub(in super::super) rows: u64,
    pub(super) runs: Vec<Run>,
}

/// Statements with rows of one table that follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where the first begins.
    pub(super) from: u64,
    pub(super) lines_before: u64,
    /// Where the last begins.
    pub(super) through: u64,
}

impl DumpIndex {
    /// Reads a dump through.
    ///
    /// # Errors
    /// The file cannot be read, is cut off, or has rows whose columns nothing names.
    pub(in super::super) fn read(path: &Path, flavor: Option<SqlFlavor>) -> Result<Self> {
        let flavor = flavor.map_or_else(|| find_flavor(path), Ok)?;
        let mut index = Self { flavor, tables: Vec::new(), passed_over: 0 };
        let mut scanner = Scanner::new(path, text::open(path)?, flavor, 0, 0);
        let mut filled: Option<usize> = None;
        while let Some(placed) = scanner.next()? {
            let head = match &placed.piece {
                Piece::InsertRow(_) | Piece::CopyRow(_) => {
                    if let Some(table) = filled.and_then(|table| index.tables.get_mut(table)) {
                        table.rows += 1;
                    }
                    continue;
                }
                Piece::Statement(text) => {
                    filled = None;
                    index.declare(text);
                    continue;
                }
                Piece::InsertHead(text) => insert_head(text, flavor.syntax()),
                Piece::CopyHead(text) => copy_head(text),
            };
            let Some(head) = head else {
                return Err(format_error(
                    path,
                    placed.line,
                    "the table of this statement cannot be made out",
                ));
            };
            let table = index.table_of(&head, &mut |problem| format_error(path, placed.line, problem))?;
            let run = Run {
                from: placed.statement,
                lines_before: placed.line.saturating_sub(1),
                through: placed.statement,
            };
            match index.tables.get_mut(table).map(|found| &mut found.runs) {
                Some(runs) if filled == Some(table) && !runs.is_empty() => {
                    if let Some(last) = runs.last_mut() {
                        last.through = placed.statement;
                    }
                }
                Some(runs) => runs.push(run),
                None => {}
            }
            filled = Some(table);
        }
        index.tables.retain(|table| table.is_declared || table.rows > 0);
        Ok(index)
    }

    fn position(&mut self, name: &str) -> usize {
        if let Some(found) = self.tables.iter().position(|table| table.name == name) {
            return found;
        }
        self.tables.push(DumpTable { name: name.to_owned(), ..DumpTable::default() });
        self.tables.len() - 1
    }

    fn declare(&mut self, text: &str) {
        match declaration(text, self.flavor) {
            Some(Declaration::Table { name, columns, key }) => {
                let position = self.position(&name);
                if let Some(table) = self.tables.get_mut(position) {
                    (table.columns, table.key, table.is_declared) = (columns, key, true);
                }
            }
            Some(Declaration::Key { table, key }) => {
                let position = self.position(&table);
                if let Some(table) = self.tables.get_mut(position) {
                    table.key = key;
                }
            }
            None => self.passed_over += 1,
        }
    }

    /// The table that a statement fills, with the columns that it names.
    fn table_of(&mut self, head: &Head, refuse: &mut dyn FnMut(String) -> Error) -> Result<usize> {
        let position = self.position(&head.table);
        if let Some(table) = self.tables.get_mut(position) {
            for column in &head.columns {
                if !table.columns.iter().any(|known| known.name == *column) {
                    table.columns.push(TableColumn {
                        name: column.clone(),
                        column_type: crate::table::ColumnType::Any,
                        nullable: true,
                        generated: false,
                    });
                }
            }
            if table.columns.is_empty() {
                let problem = format!(
                    "nothing names the columns of table \"{}\": dump it with its CREATE TABLE",
                    head.table
                );
                return Err(refuse(problem));
            }
        }
        Ok(position)
    }
}
