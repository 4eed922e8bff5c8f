//! Tuples of the binary COPY format, turned into what another database stores.

use std::sync::Arc;

use bytes::Bytes;

use super::decode::{date_text, single_as_double, time_text, timestamp};
use super::numeric::append_decimal;
use crate::table::{Cell, Field, Form, MomentForm, PackedRows, Packing, Place, Table};
use crate::value::{Timestamp, append_compact_json};

/// Packs tuples without header and trailer, read by the selection of [`selected`](super::types::selected). `None` if a
/// value must be looked at, or if they are malformed, which whoever decodes them tells.
pub(crate) fn pack_tuples(
    packing: &Packing,
    rows: usize,
    tuples: &Bytes,
    table: &Arc<Table>,
) -> Option<PackedRows> {
    let mut packer = Packer { tuples, at: 0, rendered: Vec::new() };
    let mut cells = Vec::with_capacity(rows.checked_mul(packing.width())?);
    let fields = packing.fields();
    while packer.at < tuples.len() {
        if usize::try_from(i16::from_be_bytes(packer.take()?)) != Ok(fields.len()) {
            return None;
        }
        for field in fields {
            let start = packer.at + 4;
            let value = packer.next_value()?;
            let Some(field) = field else { continue };
            cells.push(match value {
                None if field.is_key => return None,
                None => Cell::Null,
                Some(value) => packer.cell(field, value, start)?,
            });
        }
    }
    let Packer { rendered, .. } = packer;
    Some(PackedRows {
        rows,
        width: packing.width(),
        cells,
        rendered,
        tuples: tuples.clone(),
        table: Arc::clone(table),
    })
}

/// Tuples, how far they were read, and the texts made so far.
struct Packer<'a> {
    tuples: &'a [u8],
    at: usize,
    rendered: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.tuples.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*taken)
    }

    /// The bytes of a field; NULL is nothing.
    fn next_value(&mut self) -> Option<Option<&'a [u8]>> {
        let length = i32::from_be_bytes(self.take()?);
        if length == -1 {
            return Some(None);
        }
        let end = self.at.checked_add(usize::try_from(length).ok()?)?;
        let value = self.tuples.get(self.at..end)?;
        self.at = end;
        Some(Some(value))
    }

    /// The cell of a value that begins at `start`.
    fn cell(&mut self, field: &Field, value: &'a [u8], start: usize) -> Option<Cell> {
        let rendered_before = self.rendered.len();
        match field.form {
            Form::Bool => return Some(Cell::Integer(i64::from(*value.first()? != 0))),
            Form::Int16 => return Some(Cell::Integer(i16::from_be_bytes(whole(value)?).into())),
            Form::Int32 => return Some(Cell::Integer(i32::from_be_bytes(whole(value)?).into())),
            Form::Int64 => return Some(Cell::Integer(i64::from_be_bytes(whole(value)?))),
            Form::Single => return finite(single_as_double(f32::from_be_bytes(whole(value)?))),
            Form::Double => return finite(f64::from_be_bytes(whole(value)?)),
            Form::Bytes => return Place::between(start, start + value.len()).map(Cell::Bytes),
            Form::Text => {
                require_length(std::str::from_utf8(value).ok()?, field.longest)?;
                return Place::between(start, start + value.len()).map(Cell::Text);
            }
            Form::Decimal(limit) => {
                append_decimal(value, &mut self.rendered)?;
                if let Some((precision, scale)) = limit {
                    require_digits(self.rendered.get(rendered_before..)?, precision, scale)?;
                }
            }
            Form::Moment(form) => {
                append_moment(timestamp(i64::from_be_bytes(whole(value)?)), form, &mut self.rendered)?
            }
            Form::Uuid => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let text = uuid::Uuid::from_slice(value).ok()?.hyphenated().encode_lower(&mut text);
                self.rendered.extend_from_slice(text.as_bytes());
            }
            Form::Date => self.append(&date_text(i32::from_be_bytes(whole(value)?))),
            Form::Time => self.append(&time_text(i64::from_be_bytes(whole(value)?))),
            // `jsonb` has its version before the text.
            Form::Json => {
                let text = std::str::from_utf8(value.strip_prefix(&[1]).unwrap_or(value)).ok()?;
                append_compact_json(text, &mut self.rendered)?;
            }
        }
        if field.longest.is_some() {
            require_length(std::str::from_utf8(self.rendered.get(rendered_before..)?).ok()?, field.longest)?;
        }
        Place::between(rendered_before, self.rendered.len()).map(Cell::Rendered)
    }

    fn append(&mut self, text: &str) {
        self.rendered.extend_from_slice(text.as_bytes());
    }
}

fn whole<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

fn finite(number: f64) -> Option<Cell> {
    number.is_finite().then_some(Cell::Double(number))
}

fn append_moment(moment: Timestamp, form: MomentForm, rendered: &mut Vec<u8>) -> Option<()> {
    match form {
        _ if moment.is_infinite() => return None,
        MomentForm::Datetime => moment.append_clock(b' ', rendered)?,
        MomentForm::Iso => match moment.append_clock(b'T', rendered) {
            Some(()) => rendered.push(b'Z'),
            None => rendered.extend_from_slice(moment.to_iso().as_bytes()),
        },
    }
    Some(())
}

fn require_length(text: &str, longest: Option<u32>) -> Option<()> {
    let longest = longest.map_or(usize::MAX, |longest| longest as usize);
    (text.len() <= longest || text.chars().count() <= longest).then_some(())
}

/// Zeros that add nothing count as digits here; such a number is looked at more closely.
fn require_digits(text: &[u8], precision: u32, scale: u32) -> Option<()> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let digits = text.iter().take_while(|digit| digit.is_ascii_digit()).count();
    let fraction = text.len().saturating_sub(digits + 1);
    let whole = if text.starts_with(b"0") { 0 } else { digits };
    let fits = digits > 0 && whole + scale as usize <= precision as usize && fraction <= scale as usize;
    fits.then_some(())
}
