//! `$group`: a subquery gives each key and operand a column, and the query around it groups by the keys.

use super::super::fields::{FieldColumn, Fields};
use super::super::statement::Statement;
use super::Query;
use crate::aggregate::{Accumulator, Group};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FieldPath;
use crate::schema::{EntitySchema, FieldType};
use crate::value::Value;

/// The fields that a group reads.
pub(super) fn operands(group: &Group) -> impl Iterator<Item = &FieldPath> {
    let keys = group.by.named().into_iter().map(|(_, path)| path);
    keys.chain(group.fields.values().filter_map(operand))
}

fn operand(accumulator: &Accumulator) -> Option<&FieldPath> {
    match accumulator {
        Accumulator::Count | Accumulator::SumOf(_) => None,
        Accumulator::CountOf(path)
        | Accumulator::Sum(path)
        | Accumulator::Average(path)
        | Accumulator::Min(path)
        | Accumulator::Max(path) => Some(path),
    }
}

/// What a group leaves: its keys, then what was computed.
///
/// # Errors
/// [`ErrorKind::Filter`] if a field is unknown, or a sum is asked for of what is no number.
pub(super) fn outputs(schema: &EntitySchema, before: &Fields, group: &Group) -> Result<Fields> {
    let mut outputs = Vec::new();
    for (i, (name, path)) in group.by.named().into_iter().enumerate() {
        let field_type = type_at(schema, before, path)?;
        outputs.push((name, FieldColumn { name: format!("k{i}"), field_type }));
    }
    for (i, (name, accumulator)) in group.fields.iter().enumerate() {
        let of = operand(accumulator).map(|path| type_at(schema, before, path)).transpose()?;
        let field_type = match (accumulator, of) {
            (Accumulator::Min(_) | Accumulator::Max(_), Some(field_type)) => field_type,
            (Accumulator::Sum(path) | Accumulator::Average(path), Some(field_type))
                if !matches!(field_type, FieldType::Number | FieldType::Json) =>
            {
                let message = format!(
                    "{}: $group.{name}: only numbers can be added up, and \"{path}\" is a {} field",
                    schema.name,
                    field_type.name()
                );
                return Err(Error::new(ErrorKind::Filter, message));
            }
            _ => FieldType::Number,
        };
        outputs.push((name.clone(), FieldColumn { name: format!("a{i}"), field_type }));
    }
    Ok(Fields::of_outputs(outputs))
}

/// The type of the values at a path; below a field they may be anything.
fn type_at(schema: &EntitySchema, before: &Fields, path: &FieldPath) -> Result<FieldType> {
    let (column, below) = before.resolve(schema, path)?;
    Ok(if below.is_empty() { column.field_type } else { FieldType::Json })
}

/// Appends the query; `push_source` appends where the rows come from.
pub(super) fn push(
    sql: &mut Statement,
    query: &Query<'_>,
    before: &Fields,
    group: &Group,
    push_source: impl FnOnce(&mut Statement) -> Result<()>,
) -> Result<()> {
    let keys = group.by.named();
    sql.push("SELECT ");
    sql.list(0..keys.len(), ", ", |sql, i| {
        sql.name(&format!("k{i}"));
    });
    for (i, accumulator) in group.fields.values().enumerate() {
        sql.push(if i == 0 && keys.is_empty() { "" } else { ", " });
        push_accumulator(sql, query, before, &query.syntax.quote(&format!("o{i}")), accumulator)?;
        sql.push(" AS ").name(&format!("a{i}"));
    }
    if keys.is_empty() && group.fields.is_empty() {
        // All rows are still one group.
        sql.push("count(*)");
    }
    sql.push(" FROM (SELECT ");
    push_operands(sql, query, before, group)?;
    push_source(sql)?;
    sql.push(") AS rows_of_group");
    if !keys.is_empty() {
        sql.push(" GROUP BY ").list(0..keys.len(), ", ", |sql, i| {
            sql.name(&format!("k{i}"));
        });
    }
    Ok(())
}

fn push_operands(sql: &mut Statement, query: &Query<'_>, before: &Fields, group: &Group) -> Result<()> {
    let keys = group.by.named().into_iter().enumerate().map(|(i, (_, path))| (format!("k{i}"), path));
    let accumulated = group.fields.values().enumerate();
    let accumulated =
        accumulated.filter_map(|(i, accumulator)| Some((format!("o{i}"), operand(accumulator)?)));
    let mut is_first = true;
    let keys = keys.map(|(alias, path)| (alias, path, true));
    for (alias, path, is_key) in keys.chain(accumulated.map(|(alias, path)| (alias, path, false))) {
        sql.push(if is_first { "" } else { ", " });
        is_first = false;
        let (column, below) = before.resolve(query.schema, path)?;
        if column.is_json() {
            query.syntax.json_value(sql, &query.syntax.quote(&column.name), below);
        } else if is_key && column.field_type == FieldType::Number {
            sql.push(&query.syntax.distinct_number(&query.syntax.quote(&column.name)));
        } else {
            sql.name(&column.name);
        }
        sql.push(" AS ").name(&alias);
    }
    if is_first {
        sql.push("1");
    }
    Ok(())
}

/// Appends what is computed of the operand in `column`.
fn push_accumulator(
    sql: &mut Statement,
    query: &Query<'_>,
    before: &Fields,
    column: &str,
    accumulator: &Accumulator,
) -> Result<()> {
    let double = query.syntax.double_type();
    match accumulator {
        Accumulator::Count => {
            sql.push(&format!("CAST(count(*) AS {double})"));
        }
        Accumulator::CountOf(_) => {
            sql.push(&format!("CAST(count({column}) AS {double})"));
        }
        Accumulator::SumOf(number) => {
            sql.push(&format!("CAST(count(*) AS {double}) * ")).bind(Value::Float(*number));
        }
        Accumulator::Sum(path) => {
            sql.push("coalesce(sum(");
            push_number(sql, query, type_at(query.schema, before, path)?, column);
            sql.push("), 0)");
        }
        Accumulator::Average(path) => {
            // PostgreSQL's avg also adds up squares, which overflows where the mean does not.
            let field_type = type_at(query.schema, before, path)?;
            sql.push("sum(");
            push_number(sql, query, field_type, column);
            sql.push(") / nullif(CAST(count(");
            push_number(sql, query, field_type, column);
            sql.push(&format!(") AS {double}), 0)"));
        }
        Accumulator::Min(path) => {
            query.syntax.extreme(sql, column, type_at(query.schema, before, path)?, false);
        }
        Accumulator::Max(path) => {
            query.syntax.extreme(sql, column, type_at(query.schema, before, path)?, true);
        }
    }
    Ok(())
}

fn push_number(sql: &mut Statement, query: &Query<'_>, field_type: FieldType, column: &str) {
    if field_type == FieldType::Number {
        sql.push(&format!("CAST({column} AS {})", query.syntax.double_type()));
    } else {
        query.syntax.json_number(sql, column);
    }
}
