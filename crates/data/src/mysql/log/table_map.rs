//! What the log says of a table before its rows: how its columns are stored, and perhaps their names.

use super::bytes::{Bytes, malformed};
use crate::error::Result;

/// The types of columns by the numbers that the format has for them.
pub(super) mod types {
    pub(in super::super) const TINY: u8 = 1;
    pub(in super::super) const SHORT: u8 = 2;
    pub(in super::super) const LONG: u8 = 3;
    pub(in super::super) const FLOAT: u8 = 4;
    pub(in super::super) const DOUBLE: u8 = 5;
    pub(in super::super) const TIMESTAMP: u8 = 7;
    pub(in super::super) const LONGLONG: u8 = 8;
    pub(in super::super) const INT24: u8 = 9;
    pub(in super::super) const DATE: u8 = 10;
    pub(in super::super) const TIME: u8 = 11;
    pub(in super::super) const DATETIME: u8 = 12;
    pub(in super::super) const YEAR: u8 = 13;
    pub(in super::super) const NEWDATE: u8 = 14;
    pub(in super::super) const VARCHAR: u8 = 15;
    pub(in super::super) const BIT: u8 = 16;
    pub(in super::super) const TIMESTAMP2: u8 = 17;
    pub(in super::super) const DATETIME2: u8 = 18;
    pub(in super::super) const TIME2: u8 = 19;
    pub(in super::super) const BLOB_COMPRESSED: u8 = 140;
    pub(in super::super) const VARCHAR_COMPRESSED: u8 = 141;
    pub(in super::super) const VECTOR: u8 = 242;
    pub(in super::super) const JSON: u8 = 245;
    pub(in super::super) const NEWDECIMAL: u8 = 246;
    pub(in super::super) const ENUM: u8 = 247;
    pub(in super::super) const SET: u8 = 248;
    pub(in super::super) const TINY_BLOB: u8 = 249;
    pub(in super::super) const BLOB: u8 = 252;
    pub(in super::super) const VAR_STRING: u8 = 253;
    pub(in super::super) const STRING: u8 = 254;
    pub(in super::super) const GEOMETRY: u8 = 255;
}

/// Column names among what a server may tell besides.
const COLUMN_NAMES: u8 = 4;

/// A table as its rows were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableMap {
    pub(super) id: u64,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) columns: Vec<MappedColumn>,
    /// The names of the columns, where the server tells them (`binlog_row_metadata = FULL`).
    pub(super) names: Option<Vec<String>>,
}

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MappedColumn {
    /// One of [`types`]; where strings stand for enumerations and sets, those.
    pub(super) type_number: u8,
    /// What else is to be known of it, by its type: a length, how many digits, or how many bytes its length has.
    pub(super) first: u8,
    pub(super) second: u8,
}

impl MappedColumn {
    /// The most bytes that a string may have.
    pub(super) fn longest(self) -> usize {
        usize::from(u16::from_le_bytes([self.first, self.second]))
    }
}

impl TableMap {
    /// Only which table it is: its number, schema and name.
    pub(super) fn head(event: &[u8]) -> Result<(u64, &str, &str)> {
        let mut bytes = Bytes(event);
        let id = bytes.little_endian(6)?;
        bytes.take(2)?;
        let schema = name(&mut bytes)?;
        let table = name(&mut bytes)?;
        Ok((id, schema, table))
    }

    /// Reads the body of an event.
    pub(super) fn parse(event: &[u8]) -> Result<Self> {
        let mut bytes = Bytes(event);
        let id = bytes.little_endian(6)?;
        bytes.take(2)?;
        let schema = name(&mut bytes)?.to_owned();
        let table = name(&mut bytes)?.to_owned();
        let count = bytes.packed()?;
        let numbers = bytes.take(count)?;
        let length = bytes.packed()?;
        let mut about = Bytes(bytes.take(length)?);
        let columns = numbers.iter().map(|number| mapped(*number, &mut about)).collect::<Result<_>>()?;
        // Which columns may be NULL.
        bytes.take(count.div_ceil(8))?;
        let names = column_names(bytes, count)?;
        Ok(Self { id, schema, name: table, columns, names })
    }
}

fn name<'a>(bytes: &mut Bytes<'a>) -> Result<&'a str> {
    let length = bytes.u8()?;
    let name = std::str::from_utf8(bytes.take(usize::from(length))?).map_err(|_| malformed())?;
    bytes.take(1)?;
    Ok(name)
}

fn mapped(number: u8, about: &mut Bytes<'_>) -> Result<MappedColumn> {
    let (mut type_number, mut first, mut second) = (number, 0, 0);
    match number {
        types::FLOAT
        | types::DOUBLE
        | types::TINY_BLOB..=types::BLOB
        | types::GEOMETRY
        | types::JSON
        | types::VECTOR
        | types::BLOB_COMPRESSED
        | types::TIME2
        | types::DATETIME2
        | types::TIMESTAMP2 => first = about.u8()?,
        types::VARCHAR | types::VAR_STRING | types::VARCHAR_COMPRESSED | types::NEWDECIMAL | types::BIT => {
            (first, second) = (about.u8()?, about.u8()?)
        }
        types::STRING | types::ENUM | types::SET => {
            let (own, length) = (about.u8()?, about.u8()?);
            // The upper bits of a length of more than 255 are kept, inverted, in two bits that every type has set.
            let upper = (own & 0x30) ^ 0x30;
            (type_number, first, second) = (own | 0x30, length, upper >> 4);
        }
        _ => {}
    }
    Ok(MappedColumn { type_number, first, second })
}

/// The names among what a server may tell besides: pieces with a kind and a length.
fn column_names(mut bytes: Bytes<'_>, count: usize) -> Result<Option<Vec<String>>> {
    while !bytes.is_empty() {
        let kind = bytes.u8()?;
        let length = bytes.packed()?;
        let mut piece = Bytes(bytes.take(length)?);
        if kind != COLUMN_NAMES {
            continue;
        }
        let mut names = Vec::new();
        while !piece.is_empty() {
            let length = piece.packed()?;
            names.push(std::str::from_utf8(piece.take(length)?).map_err(|_| malformed())?.to_owned());
        }
        return if names.len() == count { Ok(Some(names)) } else { Err(malformed()) };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_and_an_enumeration_are_told_from_each_other() {
        let mut about = Bytes(&[0xee, 0x58, 0xf7, 1]);
        let long = mapped(types::STRING, &mut about).unwrap();
        assert_eq!((long.type_number, long.longest()), (types::STRING, 0x158));
        let own = mapped(types::STRING, &mut about).unwrap();
        assert_eq!((own.type_number, own.longest()), (types::ENUM, 1));
    }

    #[test]
    fn names_are_read_where_they_are_told() {
        let event =
            b"\x07\0\0\0\0\0\x01\0\x01d\0\x01t\0\x02\x03\x0f\x02\x50\0\0\x01\x01\0\x04\x06\x02id\x02na";
        let map = TableMap::parse(event).unwrap();
        assert_eq!((map.id, map.schema.as_str(), map.name.as_str()), (7, "d", "t"));
        assert_eq!(map.names.unwrap(), ["id", "na"]);
        assert_eq!(map.columns[1], MappedColumn { type_number: types::VARCHAR, first: 0x50, second: 0 });
        for length in 0..event.len() {
            // A map may end before what is told besides.
            let _ = TableMap::parse(&event[..length]);
        }
    }
}
