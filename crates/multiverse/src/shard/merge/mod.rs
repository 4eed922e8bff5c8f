//! The results of shards become one: gathered, grouped, made distinct, ordered and cut off, in the form of the wire.

mod group;
mod value;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use wire::{Column, Format, RowBatch};

use self::value::{Value, binary_of, is_collated};
use super::error::ShardError;
use super::merge_plan::{Bound, Merge, Place, SortKey};
use super::parameters::{Parameter, parameter};
use crate::request::BindParameters;

/// A row whose cells come from shards, or were made here.
type Row<'r> = Vec<Option<Cow<'r, [u8]>>>;

/// The result of a statement.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShardResult {
    pub(crate) columns: Option<Arc<[Column]>>,
    pub(crate) batches: Vec<RowBatch>,
    pub(crate) tag: String,
}

/// Puts the results of shards together.
///
/// # Errors
/// A type that is not known here must be compared or added, or a number is too large for its type.
pub(crate) fn merged(
    results: Vec<ShardResult>,
    merge: &Merge,
    parameters: &BindParameters,
) -> Result<ShardResult, ShardError> {
    let tag = tag_of(&results);
    let Some(columns) = results.iter().find_map(|result| result.columns.clone()) else {
        return Ok(ShardResult { columns: None, batches: Vec::new(), tag });
    };
    let columns = common_columns(&columns, &results)?;
    let is_alike = results.iter().all(|result| result.columns.as_deref() == Some(&columns[..]));
    if is_alike && *merge == Merge::default() {
        let batches = results.into_iter().flat_map(|result| result.batches).collect();
        return Ok(ShardResult { columns: Some(columns), batches, tag });
    }
    let mut rows = gathered(&results, &columns)?;
    if let Some(grouping) = &merge.grouping {
        rows = group::grouped(rows, grouping, &columns)?;
    }
    let visible = columns.len().saturating_sub(merge.hidden);
    if merge.distinct {
        rows = distinct(rows, columns.get(..visible).unwrap_or_default())?;
    }
    if !merge.sort.is_empty() {
        rows = sorted(rows, &merge.sort, visible, &columns)?;
    }
    let offset = rows_of(merge.offset, parameters)?.unwrap_or(0);
    let limit = rows_of(merge.limit, parameters)?.unwrap_or(usize::MAX);
    let kept: Vec<Row<'_>> = rows.into_iter().skip(offset).take(limit).collect();
    let tag = if tag.starts_with("SELECT ") { format!("SELECT {}", kept.len()) } else { tag };
    let batches = written(&kept, visible)?;
    let columns = columns.get(..visible).map_or(Arc::clone(&columns), Arc::from);
    Ok(ShardResult { columns: Some(columns), batches, tag })
}

/// The rows that an INSERT gives back in the order of its VALUES, of which each shard had those at these positions. Where a
/// shard gives back fewer, because some were not inserted, nobody can tell which, and they stay in the order of shards.
///
/// # Errors
/// The rows cannot be written.
pub(crate) fn inserted(result: ShardResult, positions: &[Vec<usize>]) -> Result<ShardResult, ShardError> {
    let positions: Vec<usize> = positions.iter().flatten().copied().collect();
    let rows: Vec<Row<'_>> = result
        .batches
        .iter()
        .flat_map(RowBatch::iter)
        .map(|row| row.iter().map(|cell| cell.map(Cow::Borrowed)).collect())
        .collect();
    if positions.is_empty() || rows.len() != positions.len() {
        return Ok(result);
    }
    let mut placed: Vec<(usize, Row<'_>)> = positions.into_iter().zip(rows).collect();
    placed.sort_by_key(|(position, _)| *position);
    let rows: Vec<Row<'_>> = placed.into_iter().map(|(_, row)| row).collect();
    let width = rows.first().map_or(0, Vec::len);
    let batches = written(&rows, width)?;
    Ok(ShardResult { columns: result.columns.clone(), batches, tag: result.tag.clone() })
}

fn unknown_type() -> ShardError {
    ShardError::unmergeable("a comparison, order or aggregate of values of this type")
}

/// The columns of all results. Some connections know a statement already, and get its values in binary form.
fn common_columns(first: &Arc<[Column]>, results: &[ShardResult]) -> Result<Arc<[Column]>, ShardError> {
    let mut common: Vec<Column> = first.to_vec();
    for columns in results.iter().filter_map(|result| result.columns.as_deref()) {
        if columns.len() != common.len() {
            return Err(ShardError::statement("the shards' tables have different columns"));
        }
        for (column, other) in common.iter_mut().zip(columns) {
            // Types of the application's own have another number in each database.
            let is_same = column.type_oid == other.type_oid || column.type_oid.min(other.type_oid) >= 16384;
            if !is_same {
                return Err(ShardError::statement("the shards' tables have columns of different types"));
            }
            // By `*` a shard gives its columns in the order in which they were made there.
            if column.name != other.name {
                return Err(ShardError::statement(
                    "the shards' tables have columns in another order or of other names",
                ));
            }
            if other.format == Format::Binary {
                column.format = Format::Binary;
            }
        }
    }
    Ok(common.into())
}

/// All rows, shard by shard.
fn gathered<'r>(results: &'r [ShardResult], columns: &[Column]) -> Result<Vec<Row<'r>>, ShardError> {
    let mut rows = Vec::new();
    for result in results {
        let own = result.columns.as_deref().unwrap_or_default();
        let changed: Vec<bool> =
            own.iter().zip(columns).map(|(own, common)| own.format != common.format).collect();
        let is_changed = changed.contains(&true);
        for row in result.batches.iter().flat_map(RowBatch::iter) {
            let mut cells: Row<'r> = row.iter().map(|cell| cell.map(Cow::Borrowed)).collect();
            if is_changed {
                for ((cell, column), changed) in cells.iter_mut().zip(columns).zip(&changed) {
                    if let (Some(text), true) = (&cell, changed) {
                        *cell = Some(Cow::Owned(binary_of(text, column.type_oid).ok_or_else(unknown_type)?));
                    }
                }
            }
            rows.push(cells);
        }
    }
    Ok(rows)
}

/// The value of a cell.
fn value_at(row: &Row<'_>, at: usize, columns: &[Column]) -> Result<Value, ShardError> {
    let column = columns.get(at).ok_or_else(unknown_type)?;
    Value::read(row.get(at).and_then(Option::as_deref), column).ok_or_else(unknown_type)
}

fn distinct<'r>(rows: Vec<Row<'r>>, visible: &[Column]) -> Result<Vec<Row<'r>>, ShardError> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for row in rows {
        let mut key = Vec::new();
        for at in 0..visible.len() {
            value_at(&row, at, visible)?.write_key(&mut key);
        }
        if seen.insert(key) {
            kept.push(row);
        }
    }
    Ok(kept)
}

fn sorted<'r>(
    rows: Vec<Row<'r>>,
    sort: &[SortKey],
    visible: usize,
    columns: &[Column],
) -> Result<Vec<Row<'r>>, ShardError> {
    let mut places = Vec::new();
    for key in sort {
        let at = match key.place {
            Place::Visible(at) if at < visible => at,
            Place::Visible(_) => {
                return Err(ShardError::unmergeable("ORDER BY of a position that is not there"));
            }
            Place::Hidden(at) => visible + at,
        };
        let column = columns.get(at).ok_or_else(unknown_type)?;
        if is_collated(column.type_oid) && !key.by_bytes {
            return Err(ShardError::unmergeable(
                "ORDER BY of text by the rules of a language (COLLATE \"C\" orders by bytes, which can be)",
            ));
        }
        places.push(at);
    }
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        let keys: Vec<Value> =
            places.iter().map(|at| value_at(&row, *at, columns)).collect::<Result<_, ShardError>>()?;
        keyed.push((keys, row));
    }
    keyed.sort_by(|(one, _), (other, _)| {
        let pairs = one.iter().zip(other).zip(sort);
        pairs
            .fold(Ordering::Equal, |order, ((one, other), key)| order.then_with(|| order_of(one, other, key)))
    });
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

fn order_of(one: &Value, other: &Value, key: &SortKey) -> Ordering {
    match (*one == Value::Null, *other == Value::Null) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if key.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if key.nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) => {
            let order = one.order(other);
            if key.is_descending { order.reverse() } else { order }
        }
    }
}

/// The number of rows that a bound stands for; `None` for all.
fn rows_of(bound: Option<Bound>, parameters: &BindParameters) -> Result<Option<usize>, ShardError> {
    let rows = match bound {
        None => return Ok(None),
        Some(Bound::Rows(rows)) => rows,
        Some(Bound::Parameter(at)) => match parameter(parameters, at) {
            Some(Parameter::Null) => return Ok(None),
            Some(Parameter::Text(text)) => text.trim().parse().unwrap_or(-1),
            _ => -1,
        },
    };
    let rows = usize::try_from(rows);
    rows.map(Some)
        .map_err(|_| ShardError::statement("LIMIT and OFFSET must be whole numbers, and not negative"))
}

/// The tag of the whole: numbers of rows are added.
fn tag_of(results: &[ShardResult]) -> String {
    let Some(first) = results.first() else { return String::new() };
    let Some((command, _)) = first.tag.rsplit_once(' ').filter(|(_, rows)| rows.parse::<u64>().is_ok())
    else {
        return first.tag.clone();
    };
    let rows = results.iter().filter_map(|result| result.tag.rsplit_once(' ')?.1.parse::<u64>().ok());
    format!("{command} {}", rows.sum::<u64>())
}

/// The rows as the server's messages.
fn written(rows: &[Row<'_>], visible: usize) -> Result<Vec<RowBatch>, ShardError> {
    let mut frames = Vec::new();
    for row in rows {
        let cells = row.get(..visible).unwrap_or(row);
        let size: usize = cells.iter().map(|cell| 4 + cell.as_ref().map_or(0, |cell| cell.len())).sum();
        frames.push(b'D');
        frames.extend_from_slice(&((size + 6) as u32).to_be_bytes());
        frames.extend_from_slice(&(cells.len() as u16).to_be_bytes());
        for cell in cells {
            match cell {
                Some(bytes) => {
                    frames.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                    frames.extend_from_slice(bytes);
                }
                None => frames.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
    }
    RowBatch::read_frames(&frames).map_err(|_| ShardError::statement("the merged rows cannot be written"))
}
