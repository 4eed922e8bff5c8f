//! Messages as a server writes them, for tests: each kind once or more, with and without streaming.

use bytes::{BufMut, Bytes};

/// The table that the samples describe.
pub(super) const OID: u32 = 16_400;

fn text(buffer: &mut Vec<u8>, text: &str) {
    buffer.put_slice(text.as_bytes());
    buffer.put_u8(0);
}

/// A message of this type; inside a block of a streamed transaction it has an id.
fn message(tag: u8, xid: Option<u32>) -> Vec<u8> {
    let mut buffer = vec![tag];
    buffer.extend(xid.into_iter().flat_map(u32::to_be_bytes));
    buffer
}

/// A value: its kind, and its bytes where it has any.
pub(super) type Sample<'a> = (u8, &'a [u8]);

fn tuple(buffer: &mut Vec<u8>, tag: u8, values: &[Sample<'_>]) {
    buffer.put_u8(tag);
    buffer.put_u16(values.len() as u16);
    for (kind, value) in values {
        buffer.put_u8(*kind);
        if matches!(kind, b't' | b'b') {
            buffer.put_u32(value.len() as u32);
            buffer.put_slice(value);
        }
    }
}

pub(super) fn relation(xid: Option<u32>, columns: &[&str]) -> Bytes {
    let mut buffer = message(b'R', xid);
    buffer.put_u32(OID);
    text(&mut buffer, "public");
    text(&mut buffer, "item");
    buffer.put_u8(b'd');
    buffer.put_u16(columns.len() as u16);
    for (index, column) in columns.iter().enumerate() {
        buffer.put_u8(u8::from(index == 0));
        text(&mut buffer, column);
        buffer.put_u32(25);
        buffer.put_i32(-1);
    }
    buffer.into()
}

pub(super) fn catalog_type() -> Bytes {
    let mut buffer = message(b'Y', None);
    buffer.put_u32(70_000);
    text(&mut buffer, "");
    text(&mut buffer, "mood");
    buffer.into()
}

/// A change with rows, each with the byte that says which it is.
pub(super) fn change(tag: u8, xid: Option<u32>, rows: &[(u8, &[Sample<'_>])]) -> Bytes {
    let mut buffer = message(tag, xid);
    buffer.put_u32(OID);
    for (kind, values) in rows {
        tuple(&mut buffer, *kind, values);
    }
    buffer.into()
}

pub(super) fn truncate(xid: Option<u32>, options: u8, oids: &[u32]) -> Bytes {
    let mut buffer = message(b'T', xid);
    buffer.put_u32(oids.len() as u32);
    buffer.put_u8(options);
    oids.iter().for_each(|oid| buffer.put_u32(*oid));
    buffer.into()
}

pub(super) fn logical(xid: Option<u32>, flags: u8, prefix: &str, content: &[u8]) -> Bytes {
    let mut buffer = message(b'M', xid);
    buffer.put_u8(flags);
    buffer.put_u64(0x1_0000_0002);
    text(&mut buffer, prefix);
    buffer.put_u32(content.len() as u32);
    buffer.put_slice(content);
    buffer.into()
}

pub(super) fn begin() -> Bytes {
    let mut buffer = message(b'B', None);
    buffer.put_u64(100);
    buffer.put_i64(5);
    buffer.put_u32(700);
    buffer.into()
}

fn put_commit(buffer: &mut Vec<u8>) {
    buffer.put_u8(0);
    buffer.put_u64(100);
    buffer.put_u64(108);
    buffer.put_i64(5);
}

pub(super) fn commit() -> Bytes {
    let mut buffer = message(b'C', None);
    put_commit(&mut buffer);
    buffer.into()
}

pub(super) fn origin() -> Bytes {
    let mut buffer = message(b'O', None);
    buffer.put_u64(9);
    text(&mut buffer, "elsewhere");
    buffer.into()
}

pub(super) fn stream_start(xid: u32, is_first: bool) -> Bytes {
    let mut buffer = message(b'S', Some(xid));
    buffer.put_u8(u8::from(is_first));
    buffer.into()
}

pub(super) fn stream_stop() -> Bytes {
    Bytes::from_static(b"E")
}

pub(super) fn stream_commit(xid: u32) -> Bytes {
    let mut buffer = message(b'c', Some(xid));
    put_commit(&mut buffer);
    buffer.into()
}

pub(super) fn stream_abort(xid: u32, subxid: u32, at: Option<(u64, i64)>) -> Bytes {
    let mut buffer = message(b'A', Some(xid));
    buffer.put_u32(subxid);
    if let Some((lsn, time)) = at {
        buffer.put_u64(lsn);
        buffer.put_i64(time);
    }
    buffer.into()
}

/// A stream with every kind of message.
pub(super) fn stream() -> Vec<Bytes> {
    let full: &[Sample<'_>] = &[(b't', b"1"), (b'n', b""), (b'b', b"\0\xff")];
    let key: &[Sample<'_>] = &[(b't', b"1"), (b'n', b""), (b'n', b"")];
    let toast: &[Sample<'_>] = &[(b't', b"2"), (b'u', b""), (b't', b"")];
    let mut messages = vec![begin(), origin(), catalog_type(), relation(None, &["id", "a", "b"])];
    let changes = |xid| {
        [
            change(b'I', xid, &[(b'N', full)]),
            change(b'U', xid, &[(b'N', toast)]),
            change(b'U', xid, &[(b'K', key), (b'N', full)]),
            change(b'U', xid, &[(b'O', full), (b'N', toast)]),
            change(b'D', xid, &[(b'K', key)]),
            change(b'D', xid, &[(b'O', full)]),
            truncate(xid, 3, &[OID, OID]),
            logical(xid, 1, "prefix", b"content"),
        ]
    };
    messages.extend(changes(None));
    messages.extend([commit(), stream_start(800, true), relation(Some(800), &["id", "a", "b"])]);
    messages.extend(changes(Some(801)));
    messages.extend([stream_stop(), stream_abort(800, 801, Some((7, 8))), stream_commit(800)]);
    messages.extend([stream_start(900, true), stream_stop(), stream_abort(900, 900, None)]);
    messages.push(logical(None, 0, "", b""));
    messages
}
