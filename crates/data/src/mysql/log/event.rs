//! The bodies of events: how transactions are numbered, statements, and where the rows of a table stand.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::bytes::{Bytes, malformed};
use super::place::Gtid;
use crate::error::Result;

/// The kinds of events by the numbers that the format has for them.
pub(super) mod kinds {
    pub(in super::super) const QUERY: u8 = 2;
    pub(in super::super) const ROTATE: u8 = 4;
    pub(in super::super) const FORMAT_DESCRIPTION: u8 = 15;
    pub(in super::super) const XID: u8 = 16;
    pub(in super::super) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(in super::super) const TABLE_MAP: u8 = 19;
    pub(in super::super) const WRITE_ROWS_V1: u8 = 23;
    pub(in super::super) const UPDATE_ROWS_V1: u8 = 24;
    pub(in super::super) const DELETE_ROWS_V1: u8 = 25;
    pub(in super::super) const INCIDENT: u8 = 26;
    pub(in super::super) const HEARTBEAT: u8 = 27;
    pub(in super::super) const WRITE_ROWS: u8 = 30;
    pub(in super::super) const UPDATE_ROWS: u8 = 31;
    pub(in super::super) const DELETE_ROWS: u8 = 32;
    pub(in super::super) const GTID: u8 = 33;
    pub(in super::super) const ANONYMOUS_GTID: u8 = 34;
    pub(in super::super) const XA_PREPARE: u8 = 38;
    pub(in super::super) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(in super::super) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(in super::super) const TAGGED_GTID: u8 = 42;
    pub(in super::super) const MARIADB_GTID: u8 = 162;
    pub(in super::super) const MARIADB_COMPRESSED_QUERY: u8 = 165;
    pub(in super::super) const MARIADB_COMPRESSED_WRITE_ROWS_V1: u8 = 166;
    pub(in super::super) const MARIADB_COMPRESSED_UPDATE_ROWS_V1: u8 = 167;
    pub(in super::super) const MARIADB_COMPRESSED_DELETE_ROWS_V1: u8 = 168;
    pub(in super::super) const MARIADB_COMPRESSED_WRITE_ROWS: u8 = 169;
    pub(in super::super) const MARIADB_COMPRESSED_UPDATE_ROWS: u8 = 170;
    pub(in super::super) const MARIADB_COMPRESSED_DELETE_ROWS: u8 = 171;
}

/// A group of MariaDB's that is one statement without BEGIN and COMMIT.
const STANDALONE: u8 = 1;
/// The most bytes that an event may have once it is unpacked.
const LARGEST_EVENT: usize = 1 << 30;

/// The beginning of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupHead {
    pub(super) gtid: Gtid,
    /// Whether the next statement is all of it.
    pub(super) is_standalone: bool,
    /// Whether no BEGIN comes.
    pub(super) has_begun: bool,
    /// When it was committed, in microseconds since the epoch, where the server tells it.
    pub(super) committed_at: Option<i64>,
}

/// Reads MariaDB's number of a transaction.
pub(super) fn mariadb_gtid(body: &[u8], server: u32) -> Result<GroupHead> {
    let mut bytes = Bytes(body);
    let number = bytes.little_endian(8)?;
    let domain = u32::try_from(bytes.little_endian(4)?).map_err(|_| malformed())?;
    let is_standalone = bytes.u8()? & STANDALONE != 0;
    let gtid = Gtid::Mariadb { domain, server, number };
    Ok(GroupHead { gtid, is_standalone, has_begun: !is_standalone, committed_at: None })
}

/// Reads MySQL's number of a transaction, or that it has none.
pub(super) fn mysql_gtid(body: &[u8], is_anonymous: bool) -> Result<GroupHead> {
    /// The mark that the numbers of what may run in parallel follow.
    const HAS_LOGICAL_CLOCK: u8 = 2;
    /// The upper bit of a moment says that another one follows.
    const MOMENT: u64 = (1 << 55) - 1;
    let mut bytes = Bytes(body);
    bytes.u8()?;
    let source: [u8; 16] = bytes.take(16)?.try_into().map_err(|_| malformed())?;
    let number = bytes.little_endian(8)?;
    let gtid = if is_anonymous {
        Gtid::Anonymous
    } else {
        Gtid::Mysql { source: uuid::Uuid::from_bytes(source).hyphenated().to_string(), number }
    };
    // Versions before 8.0 tell no moment.
    let moment = || -> Result<u64> {
        let mut bytes = bytes;
        if bytes.u8()? != HAS_LOGICAL_CLOCK {
            return Err(malformed());
        }
        bytes.take(16)?;
        Ok(bytes.little_endian(7)? & MOMENT)
    };
    let committed_at = moment().ok().and_then(|micros| i64::try_from(micros).ok());
    Ok(GroupHead { gtid, is_standalone: false, has_begun: false, committed_at })
}

/// A statement, and the database in which it was run.
pub(super) struct Query {
    pub(super) schema: String,
    pub(super) sql: String,
}

/// Reads a statement; before it stand `further` bytes besides those that every one has.
pub(super) fn query(body: &[u8], is_compressed: bool, further: usize) -> Result<Query> {
    let mut bytes = Bytes(body);
    bytes.take(8)?;
    let schema_length = bytes.length(1)?;
    bytes.take(2)?;
    let about = bytes.length(2)?;
    bytes.take(further)?;
    bytes.take(about)?;
    let schema = bytes.text_to_zero(schema_length)?;
    let sql = if is_compressed {
        String::from_utf8_lossy(&inflated(bytes.0)?).into_owned()
    } else {
        String::from_utf8_lossy(bytes.0).into_owned()
    };
    Ok(Query { schema, sql })
}

/// Unpacks what MariaDB has compressed: how long the length is, the length, and then the bytes.
pub(super) fn inflated(packed: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Bytes(packed);
    let head = bytes.u8()?;
    let length = bytes.big_endian(usize::from(head & 7))?;
    let length =
        usize::try_from(length).ok().filter(|length| *length <= LARGEST_EVENT).ok_or_else(malformed)?;
    let mut unpacked = Vec::new();
    let limit = u64::try_from(length).map_err(|_| malformed())?;
    ZlibDecoder::new(bytes.0).take(limit).read_to_end(&mut unpacked).map_err(|_| malformed())?;
    if unpacked.len() == length { Ok(unpacked) } else { Err(malformed()) }
}

/// What happened to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsKind {
    Insert,
    Update,
    Delete,
}

/// How the rows of an event stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowsForm {
    pub(super) kind: RowsKind,
    /// Whether there are further bytes before the rows.
    has_extra: bool,
    is_compressed: bool,
    /// Whether documents may be told by their changes.
    pub(super) is_partial: bool,
}

impl RowsForm {
    /// The form of the rows of a kind of events; `None` if it has none.
    pub(super) fn of(kind: u8) -> Option<Self> {
        use RowsKind::{Delete, Insert, Update};
        let form =
            |kind, has_extra, is_compressed| Some(Self { kind, has_extra, is_compressed, is_partial: false });
        match kind {
            kinds::WRITE_ROWS_V1 => form(Insert, false, false),
            kinds::UPDATE_ROWS_V1 => form(Update, false, false),
            kinds::DELETE_ROWS_V1 => form(Delete, false, false),
            kinds::WRITE_ROWS => form(Insert, true, false),
            kinds::UPDATE_ROWS => form(Update, true, false),
            kinds::DELETE_ROWS => form(Delete, true, false),
            kinds::MARIADB_COMPRESSED_WRITE_ROWS_V1 => form(Insert, false, true),
            kinds::MARIADB_COMPRESSED_UPDATE_ROWS_V1 => form(Update, false, true),
            kinds::MARIADB_COMPRESSED_DELETE_ROWS_V1 => form(Delete, false, true),
            kinds::MARIADB_COMPRESSED_WRITE_ROWS => form(Insert, true, true),
            kinds::MARIADB_COMPRESSED_UPDATE_ROWS => form(Update, true, true),
            kinds::MARIADB_COMPRESSED_DELETE_ROWS => form(Delete, true, true),
            kinds::PARTIAL_UPDATE_ROWS => {
                Some(Self { kind: Update, has_extra: true, is_compressed: false, is_partial: true })
            }
            _ => None,
        }
    }
}

/// The rows of an event.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) columns: usize,
    /// Which columns the rows have, by bits; of updates those before the change.
    pub(super) present: &'a [u8],
    /// Those after the change.
    pub(super) present_after: &'a [u8],
    packed: &'a [u8],
    is_compressed: bool,
}

impl<'a> Rows<'a> {
    /// The table that an event is about, by its number.
    pub(super) fn table(body: &[u8]) -> Result<u64> {
        Bytes(body).little_endian(6)
    }

    /// Reads the body of an event.
    pub(super) fn parse(body: &'a [u8], form: RowsForm) -> Result<Self> {
        let mut bytes = Bytes(body);
        bytes.take(8)?;
        if form.has_extra {
            // The length counts itself.
            let length = bytes.length(2)?.checked_sub(2).ok_or_else(malformed)?;
            bytes.take(length)?;
        }
        let columns = bytes.packed()?;
        let present = bytes.take(columns.div_ceil(8))?;
        let present_after =
            if form.kind == RowsKind::Update { bytes.take(columns.div_ceil(8))? } else { present };
        Ok(Self { columns, present, present_after, packed: bytes.0, is_compressed: form.is_compressed })
    }

    /// The bytes of the rows.
    pub(super) fn unpacked(&self) -> Result<std::borrow::Cow<'a, [u8]>> {
        if self.is_compressed { inflated(self.packed).map(Into::into) } else { Ok(self.packed.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_of_mysql_are_numbered_with_their_moment() {
        let mut body = vec![1];
        body.extend([0x11; 16]);
        body.extend(7_u64.to_le_bytes());
        let without_moment = body.clone();
        body.push(2);
        body.extend([0; 16]);
        let moment = 1_700_000_000_000_001_u64 | 1 << 55;
        body.extend(&moment.to_le_bytes()[..7]);
        let head = mysql_gtid(&body, false).unwrap();
        let source = "11111111-1111-1111-1111-111111111111".to_owned();
        assert_eq!(head.gtid, Gtid::Mysql { source, number: 7 });
        assert_eq!(head.committed_at, Some(1_700_000_000_000_001));
        assert_eq!(mysql_gtid(&without_moment, true).unwrap().committed_at, None);
    }

    #[test]
    fn what_was_compressed_is_unpacked_and_bounded() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[7; 1000]).unwrap();
        let stream = encoder.finish().unwrap();
        let packed = |length: u16| [&[0x82][..], &length.to_be_bytes(), &stream].concat();
        assert_eq!(inflated(&packed(1000)).unwrap(), [7; 1000]);
        assert!(inflated(&packed(1001)).is_err());
        assert!(inflated(&[]).is_err());
    }
}
