//! The columns of a table in a file, with the types that an entity or the file declares, or that its values have.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::cell::Raw;
use super::super::csv::Records;
use super::super::guess::Guess;
use super::super::json::{each_line, each_object};
use super::super::sql::each_row;
use super::Files;
use super::parts::{Content, Part};
use super::scan::raw_field;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EntitySchema, FieldType, ID};
use crate::table::{ColumnType, Table, TableColumn};

/// A table of a file.
pub(super) struct Described {
    pub(super) table: Table,
    /// How many rows there are, where they were counted.
    pub(super) rows: Option<u64>,
    /// The columns whose types were found from values.
    guessed: Vec<String>,
}

impl Described {
    /// What was found from values, for a person.
    pub(super) fn note(&self) -> Option<String> {
        if self.guessed.is_empty() {
            return None;
        }
        let columns = self.table.columns.iter().filter(|column| self.guessed.contains(&column.name));
        let types: Vec<_> =
            columns.map(|column| format!("{} {}", column.name, words(&column.column_type))).collect();
        Some(format!("{}: types found from the values: {}", self.table.name, types.join(", ")))
    }
}

fn words(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Bool => "boolean",
        ColumnType::Int64 => "integer",
        ColumnType::Float64 => "number",
        ColumnType::Decimal(_) => "decimal",
        ColumnType::Timestamp { .. } => "date",
        ColumnType::Json => "json",
        ColumnType::Bytes => "bytes",
        ColumnType::Any => "mixed",
        _ => "text",
    }
}

/// Describes a part under the name by which it is asked for.
pub(super) fn describe(files: &Files, part: &Part, name: &str) -> Result<Described> {
    let schema = files.schemas.iter().find(|schema| schema.collection == name || schema.name == part.name);
    let mut found = match &part.content {
        Content::Csv => csv_columns(files, part, schema)?,
        Content::Json(place) => {
            let mut columns = Columns::default();
            each_object(&part.path, place, &mut |object| columns.add_object(object))?;
            columns
        }
        Content::Ndjson => {
            let mut columns = Columns::default();
            each_line(&part.path, &mut |object| columns.add_object(object))?;
            columns
        }
        Content::Sql(flavor, table) => {
            let mut columns = Columns { rows: Some(table.rows), ..Columns::default() };
            for column in &table.columns {
                let declared = (column.column_type != ColumnType::Any).then(|| column.column_type.clone());
                columns.guesses.insert(column.name.clone(), (declared, Guess::default()));
            }
            if columns.guesses.values().any(|(declared, _)| declared.is_none()) {
                each_row(&part.path, *flavor, table, &mut |row| {
                    columns.guesses.values_mut().zip(&row).for_each(|((_, guess), raw)| guess.add(raw));
                    Ok(true)
                })?;
            }
            columns
        }
    };
    if let Some(schema) = schema {
        found.declare(schema);
    }
    let declared_key = match &part.content {
        Content::Sql(_, table) => table.key.clone(),
        _ => Vec::new(),
    };
    let guessed =
        found.guesses.iter().filter(|(_, (declared, _))| declared.is_none()).map(|(name, _)| name.clone());
    let guessed = guessed.collect();
    let rows = found.rows;
    let columns: Vec<TableColumn> = found.guesses.into_iter().map(column).collect();
    let key = key_positions(files, schema, &declared_key, &columns)?;
    let table = Table { name: name.to_owned(), columns, key, references: Vec::new() };
    Ok(Described { table, rows, guessed })
}

fn column((name, (declared, guess)): (String, (Option<ColumnType>, Guess))) -> TableColumn {
    let column_type = declared.unwrap_or_else(|| guess.column_type());
    TableColumn { name, column_type, nullable: true, generated: false }
}

/// The columns of a file, each with its declared type or a guess.
#[derive(Default)]
struct Columns {
    guesses: IndexMap<String, (Option<ColumnType>, Guess)>,
    rows: Option<u64>,
}

impl Columns {
    fn add_object(&mut self, object: crate::value::Object) -> Result<bool> {
        for (name, value) in object {
            let (_, guess) = self.guesses.entry(name).or_default();
            guess.add(&Raw::Plain(value));
        }
        self.rows = Some(self.rows.unwrap_or(0) + 1);
        Ok(true)
    }

    /// Takes over the types of an entity where the file has none of its own.
    fn declare(&mut self, schema: &EntitySchema) {
        for (name, (declared, _)) in &mut self.guesses {
            if declared.is_none() {
                *declared = schema.column(name).map(|column| declared_type(column.field_type()));
            }
        }
    }
}

/// The header's columns. Only if one of them has no declared type is the file read through.
fn csv_columns(files: &Files, part: &Part, schema: Option<&Arc<EntitySchema>>) -> Result<Columns> {
    let mut records = Records::open(&part.path, files.spec.delimiter)?;
    let mut columns = Columns::default();
    for name in &records.header {
        columns.guesses.insert(name.clone(), (None, Guess::default()));
    }
    let declares = |name: &String| schema.is_some_and(|schema| schema.column(name).is_some());
    if records.header.iter().all(declares) {
        return Ok(columns);
    }
    let mut rows = 0;
    while let Some(fields) = records.next()? {
        rows += 1;
        for ((_, guess), field) in columns.guesses.values_mut().zip(fields) {
            guess.add(&raw_field(field, files.spec.empty_cells, None));
        }
    }
    columns.rows = Some(rows);
    Ok(columns)
}

fn declared_type(field_type: FieldType) -> ColumnType {
    match field_type {
        FieldType::String | FieldType::Text => ColumnType::Text(None),
        FieldType::Number => ColumnType::Float64,
        FieldType::Boolean => ColumnType::Bool,
        FieldType::Date => ColumnType::Timestamp { zoned: true },
        FieldType::Json | FieldType::Array => ColumnType::Json,
    }
}

/// The key as it was asked for, as the entity or the file has it, or by its usual name; none if nothing tells.
fn key_positions(
    files: &Files,
    schema: Option<&Arc<EntitySchema>>,
    declared: &[String],
    columns: &[TableColumn],
) -> Result<Vec<usize>> {
    let position = |name: &str| columns.iter().position(|column| column.name == name);
    if !files.spec.key.is_empty() {
        let positions = files.spec.key.iter().map(|name| {
            position(name).ok_or_else(|| {
                Error::new(
                    ErrorKind::Config,
                    format!("key: {} has no column \"{name}\"", files.spec.path.display()),
                )
            })
        });
        return positions.collect();
    }
    let all = |names: &[String]| names.iter().map(|name| position(name)).collect::<Option<Vec<_>>>();
    let of_entity = schema.and_then(|_| position(ID));
    Ok(match of_entity {
        Some(id) => vec![id],
        None if !declared.is_empty() => all(declared).unwrap_or_default(),
        None => position(ID).or_else(|| position("_id")).into_iter().collect(),
    })
}
