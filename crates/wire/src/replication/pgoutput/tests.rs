//! The decoder: every kind of message, whatever is damaged in it.

use bytes::Bytes;

use super::samples::{self, OID};
use super::{DecodeError, Decoder, Message, OldTuple, ReplicaIdentity, TupleValue};
use crate::error::{Error, ErrorKind};

fn decode_all(messages: &[Bytes]) -> Vec<Message> {
    let mut decoder = Decoder::new();
    messages.iter().map(|message| decoder.decode(message.clone()).unwrap()).collect()
}

/// A decoder that knows the table of the samples, with these columns.
fn knowing(columns: &[&str]) -> Decoder {
    let mut decoder = Decoder::new();
    decoder.decode(samples::relation(None, columns)).unwrap();
    decoder
}

#[test]
fn a_stream_of_every_kind_of_message_is_decoded() {
    let messages = decode_all(&samples::stream());
    assert_eq!(messages.len(), samples::stream().len());
    let Message::Begin(begin) = &messages[0] else { panic!("{:?}", messages[0]) };
    assert_eq!((u64::from(begin.final_lsn), begin.commit_time.epoch_micros(), begin.xid), (100, 5, 700));
    let Message::Origin(origin) = &messages[1] else { panic!("{:?}", messages[1]) };
    assert_eq!((u64::from(origin.commit_lsn), origin.name.as_str()), (9, "elsewhere"));
    let Message::Type(name) = &messages[2] else { panic!("{:?}", messages[2]) };
    assert_eq!((name.oid, name.namespace.as_str(), name.name.as_str()), (70_000, "pg_catalog", "mood"));
    let Message::Relation(relation) = &messages[3] else { panic!("{:?}", messages[3]) };
    assert_eq!((relation.oid, relation.replica_identity), (OID, ReplicaIdentity::Default));
    let keys: Vec<_> = relation.columns.iter().map(|column| (column.name.as_str(), column.is_key)).collect();
    assert_eq!(keys, [("id", true), ("a", false), ("b", false)]);
    let Message::Commit(commit) = &messages[12] else { panic!("{:?}", messages[12]) };
    assert_eq!((u64::from(commit.commit_lsn), u64::from(commit.end_lsn)), (100, 108));
}

#[test]
fn rows_tell_null_unchanged_text_and_binary_apart() {
    let messages = decode_all(&samples::stream());
    let Message::Insert(insert) = &messages[4] else { panic!("{:?}", messages[4]) };
    let values: Vec<_> = insert.new.iter().collect();
    assert_eq!(values, [TupleValue::Text(b"1"), TupleValue::Null, TupleValue::Binary(b"\0\xff")]);
    assert_eq!(
        (insert.new.bytes(0).as_deref(), insert.new.bytes(1), insert.new.get(3)),
        (Some(&b"1"[..]), None, None)
    );
    let Message::Update(update) = &messages[5] else { panic!("{:?}", messages[5]) };
    assert_eq!((update.old.is_none(), update.new.get(1)), (true, Some(TupleValue::Unchanged)));
    let Message::Update(update) = &messages[6] else { panic!("{:?}", messages[6]) };
    assert!(matches!(&update.old, Some(OldTuple::Key(key)) if key.get(0) == Some(TupleValue::Text(b"1"))));
    let Message::Update(update) = &messages[7] else { panic!("{:?}", messages[7]) };
    assert!(matches!(&update.old, Some(OldTuple::Full(_))));
    let Message::Delete(delete) = &messages[8] else { panic!("{:?}", messages[8]) };
    assert_eq!((delete.xid, delete.old.tuple().len()), (None, 3));
    let Message::Truncate(truncate) = &messages[10] else { panic!("{:?}", messages[10]) };
    assert_eq!((truncate.relations.len(), truncate.cascade, truncate.restart_identity), (2, true, true));
    let Message::Logical(logical) = &messages[11] else { panic!("{:?}", messages[11]) };
    assert_eq!(
        (logical.transactional, logical.prefix.as_str(), &logical.content[..]),
        (true, "prefix", &b"content"[..])
    );
}

#[test]
fn changes_within_a_block_have_the_id_of_their_subtransaction() {
    let messages = decode_all(&samples::stream());
    let Message::StreamStart(start) = &messages[13] else { panic!("{:?}", messages[13]) };
    assert_eq!((start.xid, start.is_first), (800, true));
    for message in &messages[15..23] {
        let xid = match message {
            Message::Insert(change) => change.xid,
            Message::Update(change) => change.xid,
            Message::Delete(change) => change.xid,
            Message::Truncate(change) => change.xid,
            Message::Logical(change) => change.xid,
            other => panic!("{other:?}"),
        };
        assert_eq!(xid, Some(801));
    }
    let Message::StreamAbort(abort) = &messages[24] else { panic!("{:?}", messages[24]) };
    let at = abort.aborted_at.map(|(lsn, time)| (u64::from(lsn), time.epoch_micros()));
    assert_eq!((abort.xid, abort.subxid, at), (800, 801, Some((7, 8))));
    assert!(
        matches!(&messages[25], Message::StreamCommit(commit) if u64::from(commit.commit.end_lsn) == 108)
    );
    assert!(matches!(&messages[28], Message::StreamAbort(abort) if abort.aborted_at.is_none()));
}

#[test]
fn values_share_the_buffer_of_their_message() {
    let insert = samples::change(b'I', None, &[(b'N', &[(b't', b"value")])]);
    let Ok(Message::Insert(decoded)) = knowing(&["id"]).decode(insert.clone()) else { panic!("no insert") };
    assert!(insert.as_ptr_range().contains(&decoded.new.bytes(0).unwrap().as_ptr()));
    let detached = decoded.new.detached();
    assert!(!insert.as_ptr_range().contains(&detached.bytes(0).unwrap().as_ptr()));
    assert_eq!(detached, decoded.new);
}

#[test]
fn values_do_not_show_when_a_message_is_printed() {
    let secret: &[samples::Sample<'_>] = &[(b't', b"s3cret")];
    let insert = knowing(&["id"]).decode(samples::change(b'I', None, &[(b'N', secret)])).unwrap();
    let logical = Decoder::new().decode(samples::logical(None, 1, "about", b"s3cret")).unwrap();
    let shown = format!("{insert:?} {logical:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("115") && shown.contains("about"), "{shown}");
}

#[test]
fn a_table_described_in_a_streamed_transaction_counts_for_others_once_it_commits() {
    let one: &[samples::Sample<'_>] = &[(b't', b"1")];
    let two: &[samples::Sample<'_>] = &[(b't', b"1"), (b'n', b"")];
    let insert = |xid, row| samples::change(b'I', xid, &[(b'N', row)]);
    for (end, columns) in [(samples::stream_commit(7), 2), (samples::stream_abort(7, 7, None), 1)] {
        let mut decoder = knowing(&["id"]);
        let mut decode = |message| decoder.decode(message);
        decode(samples::stream_start(7, true)).unwrap();
        decode(samples::relation(Some(7), &["id", "added"])).unwrap();
        decode(insert(Some(7), two)).unwrap();
        decode(samples::stream_stop()).unwrap();
        // Another transaction, in which the column has not been added.
        decode(insert(None, one)).unwrap();
        assert!(matches!(
            decode(insert(None, two)),
            Err(DecodeError::ColumnCount { expected: 1, found: 2, .. })
        ));
        decode(samples::stream_start(7, false)).unwrap();
        decode(insert(Some(7), two)).unwrap();
        decode(samples::stream_stop()).unwrap();
        decode(end).unwrap();
        assert_eq!(decoder.relation(OID).unwrap().columns.len(), columns);
    }
}

#[test]
fn a_rolled_back_subtransaction_leaves_the_tables_of_its_transaction_known() {
    let mut decoder = Decoder::new();
    decoder.decode(samples::stream_start(7, true)).unwrap();
    decoder.decode(samples::relation(Some(8), &["id"])).unwrap();
    decoder.decode(samples::stream_stop()).unwrap();
    decoder.decode(samples::stream_abort(7, 8, None)).unwrap();
    assert!(decoder.relation(OID).is_none());
    decoder.decode(samples::stream_commit(7)).unwrap();
    assert!(decoder.relation(OID).is_some());
}

#[test]
fn messages_out_of_place_are_errors() {
    let row: &[samples::Sample<'_>] = &[(b't', b"1")];
    assert!(matches!(
        Decoder::new().decode(samples::change(b'I', None, &[(b'N', row)])),
        Err(DecodeError::UnknownRelation { oid: OID, .. })
    ));
    assert!(matches!(Decoder::new().decode(samples::stream_stop()), Err(DecodeError::OutOfPlace { .. })));
    for message in
        [samples::begin(), samples::commit(), samples::stream_start(2, true), samples::stream_commit(1)]
    {
        let mut decoder = Decoder::new();
        decoder.decode(samples::stream_start(1, true)).unwrap();
        assert!(matches!(decoder.decode(message), Err(DecodeError::OutOfPlace { .. })));
    }
}

#[test]
fn two_phase_messages_are_refused_by_their_name() {
    for (tag, name) in [
        (b'b', "Begin Prepare"),
        (b'P', "Prepare"),
        (b'K', "Commit Prepared"),
        (b'r', "Rollback"),
        (b'p', "Stream Prepare"),
    ] {
        let error = Error::from(Decoder::new().decode(Bytes::from(vec![tag; 30])).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(Decoder::new().decode(Bytes::from_static(b"?")), Err(DecodeError::UnknownMessage(b'?')));
}

#[test]
fn a_message_that_is_cut_short_or_too_long_is_an_error() {
    let mut decoder = Decoder::new();
    for message in samples::stream() {
        for end in 0..message.len() {
            let cut = decoder.decode(message.slice(..end));
            // An abort may end before its position.
            let may_end = message[0] == b'A' && end == 9;
            assert!(cut.is_err() != may_end, "{message:?} cut at {end}: {cut:?}");
        }
        let longer = Bytes::from([&message[..], b"\0"].concat());
        assert!(decoder.decode(longer).is_err(), "{message:?} and a byte");
        decoder.decode(message).unwrap();
    }
}

/// Pseudo-random numbers that are the same each time.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit
    }
}

#[test]
fn a_stream_damaged_at_random_never_panics() {
    let stream = samples::stream();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for _ in 0..30_000 {
        let mut decoder = Decoder::new();
        for message in &stream {
            let mut bytes = message.to_vec();
            match noise.below(8) {
                0 => bytes.truncate(noise.below(bytes.len() + 1)),
                1 => bytes.insert(noise.below(bytes.len()), noise.below(256) as u8),
                2..4 => {
                    let at = noise.below(bytes.len());
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'n', b't', b'u'][noise.below(8)];
                }
                _ => {}
            }
            if let Ok(Message::Insert(insert)) = decoder.decode(bytes.into()) {
                (0..=insert.new.len()).for_each(|index| drop(insert.new.bytes(index)));
            }
        }
    }
}

#[test]
fn garbage_never_panics_and_promises_take_no_memory() {
    let mut noise = Noise(1);
    let mut decoder = knowing(&["id", "a"]);
    let tags = b"BCOYRIUDTMSEcA";
    for _ in 0..100_000 {
        let mut bytes: Vec<u8> = (0..noise.below(48)).map(|_| noise.below(256) as u8).collect();
        bytes.insert(0, tags[noise.below(tags.len())]);
        let _ = decoder.decode(bytes.into());
    }
    assert!(Decoder::new().decode(Bytes::from_static(b"T\xff\xff\xff\xff\0")).is_err());
    assert!(Decoder::new().decode(Bytes::from_static(b"R\0\0\0\x01a\0b\0d\xff\xff")).is_err());
}
