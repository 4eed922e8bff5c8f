//! Writing a batch as one transaction and, if it is refused, finding the rows at fault by halving.

use data::table::{Row, RowBatch};
use data::{Error, ErrorKind, Result};

use super::{Collection, stops_the_run};
use crate::untangle::{Tangled, untangle};

/// How often a transaction that collided with another one is tried.
const COLLISION_ATTEMPTS: u32 = 5;

/// How rows are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Write {
    /// The table was empty.
    Insert,
    /// Rows may exist.
    Upsert,
}

/// A row that the target refused.
pub(crate) struct Refused {
    pub(crate) row: Row,
    pub(crate) error: Error,
    /// Whether the target holds an older version of it.
    pub(crate) existed: bool,
}

impl Refused {
    /// Whether it was refused for the sake of another row, which may be gone or there by the end.
    pub(crate) fn may_fit_later(&self) -> bool {
        matches!(self.error.kind(), ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation)
    }
}

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) refused: Vec<Refused>,
}

/// Writes every row that the target takes. Each attempt is one transaction, so that a refused one leaves nothing.
///
/// # Errors
/// What no smaller batch could avoid.
pub(crate) async fn write_isolating(
    collection: &Collection,
    write: Write,
    rows: Vec<Row>,
) -> Result<Written> {
    let mut written = Written::default();
    let mut pending = if rows.is_empty() { Vec::new() } else { vec![rows] };
    while let Some(mut rows) = pending.pop() {
        let count = rows.len();
        match write_once(collection, write, &mut rows).await {
            Ok(()) => written.rows += u64::try_from(count).unwrap_or(u64::MAX),
            Err(error) if !concerns_rows(&error) => return Err(error),
            Err(error) if count == 1 => {
                written.refused.extend(rows.into_iter().map(|row| Refused {
                    row,
                    error: detach(&error),
                    existed: false,
                }));
            }
            Err(_) => {
                let second_half = rows.split_off(count / 2);
                pending.push(second_half);
                pending.push(rows);
            }
        }
    }
    Ok(written)
}

/// Writes rows that were refused for the sake of others: one by one, as what stood in their way may have moved by now, and those
/// that stand in each other's way together. For each why it was refused again, if it was.
///
/// # Errors
/// What does not concern single rows.
pub(crate) async fn write_again(
    collection: &Collection,
    rows: Vec<(Write, Row)>,
) -> Result<Vec<Option<Error>>> {
    let mut refused = Vec::with_capacity(rows.len());
    let mut tangled = Vec::new();
    for (index, (write, row)) in rows.into_iter().enumerate() {
        let written = write_isolating(collection, write, vec![row]).await?;
        let again = written.refused.into_iter().next();
        if let Some(again) = &again
            && again.error.kind() == ErrorKind::UniqueViolation
        {
            tangled.push((index, write, again.row.clone()));
        }
        refused.push(again.map(|again| again.error));
    }
    if collection.rewrites && tangled.len() > 1 {
        for index in write_together(collection, &tangled).await? {
            refused[index] = None;
        }
    }
    Ok(refused)
}

/// Writes rows that stand in each other's way; which of them, by the indices that they were given with.
async fn write_together(collection: &Collection, tangled: &[(usize, Write, Row)]) -> Result<Vec<usize>> {
    let table = &collection.mapping.target;
    let keys: Vec<_> = tangled.iter().map(|(_, _, row)| table.key_of(row)).collect();
    let rows: Vec<_> = tangled
        .iter()
        .zip(&keys)
        .map(|((_, write, row), key)| Tangled {
            table,
            is_document: collection.target.is_schemaless(),
            key,
            row,
            missing: &[],
            is_new: matches!(write, Write::Insert),
        })
        .collect();
    let mut transaction = collection.target.tables()?.begin().await?;
    let outcome = async {
        let is_written = untangle(transaction.as_mut(), &rows).await?;
        transaction.commit().await?;
        Ok::<_, data::Error>(is_written)
    };
    let is_written = match outcome.await {
        Ok(is_written) => is_written,
        // Others write the same rows; these are told of as refused.
        Err(error) if error.kind() == ErrorKind::Conflict => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let written = tangled.iter().zip(is_written).filter(|(_, is_written)| *is_written);
    Ok(written.map(|((index, _, _), _)| *index).collect())
}

async fn write_once(collection: &Collection, write: Write, rows: &mut Vec<Row>) -> Result<()> {
    let target = collection.target.tables()?;
    let table = &collection.mapping.target;
    let mut attempt = 1;
    loop {
        let result = match write {
            Write::Insert => {
                let batch = RowBatch::Rows(std::mem::take(rows));
                let result = target.insert(table, &batch).await;
                *rows = batch.into_rows()?;
                result
            }
            Write::Upsert => target.upsert(table, rows).await,
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < COLLISION_ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

/// Whether a smaller batch might be taken.
pub(crate) fn concerns_rows(error: &Error) -> bool {
    let whole_table = matches!(
        error.kind(),
        ErrorKind::UnknownTable
            | ErrorKind::Permission
            | ErrorKind::NoPrimaryKey
            | ErrorKind::Unsupported
            | ErrorKind::Config
            | ErrorKind::File
            | ErrorKind::Format
    );
    !whole_table && !stops_the_run(error.kind())
}

/// The error without its source, which cannot be copied.
fn detach(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}
