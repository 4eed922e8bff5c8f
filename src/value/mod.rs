//! Values across the boundary to JavaScript: JSON text, one text per call, in which what JSON lacks is tagged.
//!
//! A tag is an object of one key that starts with `$$`:
//!
//! | tag | meaning |
//! |---|---|
//! | `{"$$date": ms}` | a moment; beyond JavaScript's dates the text `Infinity`, `-Infinity` or ISO 8601 |
//! | `{"$$bytes": "base64"}` | bytes |
//! | `{"$$bigint": "digits"}` | an integer beyond 2^53 |
//! | `{"$$number": "NaN"}` | also `Infinity`, `-Infinity`, `-0` |
//! | `{"$$object": {…}}` | an object that has a key of its own starting with `$$` |
//!
//! Rows are `{"rows": […], "columns": {…}}`. `columns` names the columns that `JSON.parse` alone does not get right,
//! and how to finish them, so that ordinary rows are not looked at again: `date`, `number` and `bytes` hold the bare
//! content of the tag in each row, `tagged` may hold tags at any depth.
//!
//! The rows of a read that have the same columns are packed instead, column by column, into numbers and texts, of which
//! JavaScript makes rows several times as fast. Many rows come as several batches, each of which is packed in its own way.
//!
//! A single row is `[{…}, name, finish, …]`, where the names and finishes are those of `columns`; no row is `[]`.

mod batches;
mod cell;
mod column;
mod finish;
mod packed;
mod read;
mod repeats;
mod row;
mod write;

pub(crate) use batches::{Batch, RowWriter, SomeRows, row_batches};
pub(crate) use read::{read_filter, read_list, read_options, read_record, read_value};
pub(crate) use row::{RowText, write_row};
pub(crate) use write::{write_records, write_values};

/// What the key of a tag starts with.
const TAG: &str = "$$";
const DATE: &str = "$$date";
const BYTES: &str = "$$bytes";
const BIGINT: &str = "$$bigint";
const NUMBER: &str = "$$number";
const OBJECT: &str = "$$object";

#[cfg(test)]
mod round_trip;
