//! Results as bytes that another process understands: the key, the columns, the server's messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wire::{Column, Format, RowBatch, TextTypes};

use super::key::CacheKey;
use super::stored::{StoredResult, StoredRows};

/// The form of the bytes; another one is not read.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    tag: String,
    columns: Option<Vec<ColumnText>>,
    is_compressed: bool,
    raw_size: usize,
}

/// Name, table, column, type, size, modifier, whether binary.
#[derive(Serialize, Deserialize)]
struct ColumnText(String, u32, i16, u32, i16, i32, bool);

impl From<&Column> for ColumnText {
    fn from(column: &Column) -> Self {
        let Column { name, table_oid, column_id, type_oid, type_size, type_modifier, format } = column;
        let is_binary = *format == Format::Binary;
        Self(name.clone(), *table_oid, *column_id, *type_oid, *type_size, *type_modifier, is_binary)
    }
}

impl From<ColumnText> for Column {
    fn from(text: ColumnText) -> Self {
        let ColumnText(name, table_oid, column_id, type_oid, type_size, type_modifier, is_binary) = text;
        let format = if is_binary { Format::Binary } else { Format::Text };
        Self { name, table_oid, column_id, type_oid, type_size, type_modifier, format }
    }
}

/// The bytes of a result.
pub(crate) fn write(key: &CacheKey, result: &StoredResult) -> Vec<u8> {
    let header = Header {
        tag: result.tag.to_string(),
        columns: result.columns.as_ref().map(|columns| columns.iter().map(ColumnText::from).collect()),
        is_compressed: matches!(result.rows, StoredRows::Compressed(_)),
        raw_size: result.raw_size,
    };
    // Texts and numbers can always be written.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut bytes = vec![VERSION];
    for part in [key.as_bytes(), &header] {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    match &result.rows {
        StoredRows::Plain(batches) => {
            batches.iter().for_each(|batch| bytes.extend_from_slice(batch.frames()))
        }
        StoredRows::Compressed(rows) => bytes.extend_from_slice(rows),
    }
    bytes
}

/// The result in some bytes; `None` if they are of another key or form, or have values in a form that this process does
/// not ask servers for.
pub(crate) fn read(key: &CacheKey, bytes: &[u8], text_types: &TextTypes) -> Option<StoredResult> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    if part(&mut rest)? != key.as_bytes() {
        return None;
    }
    let header: Header = serde_json::from_slice(part(&mut rest)?).ok()?;
    let columns: Option<Arc<[Column]>> =
        header.columns.map(|columns| columns.into_iter().map(Column::from).collect());
    let is_unwanted =
        |column: &Column| column.format == Format::Binary && text_types.contains(column.type_oid);
    if columns.iter().flat_map(|columns| columns.iter()).any(is_unwanted) {
        return None;
    }
    let rows = if header.is_compressed {
        StoredRows::Compressed(rest.into())
    } else {
        StoredRows::Plain(RowBatch::read_frames(rest).ok()?.into())
    };
    let result = StoredResult { columns, rows, tag: header.tag.into(), raw_size: header.raw_size };
    // What cannot be read is not handed out later.
    result.opened().map(|_| result)
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    Some(part)
}
