//! The core without a server: frames cut anywhere, garbage, and what the state keeps.

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};

use super::auth::Authenticator;
use super::frame::{self, Frame, Phase};
use super::message::{Authentication, BackendMessage};
use super::row::RowBatch;
use super::state::{Event, ProtocolState, TransactionStatus};
use crate::config::ChannelBinding;
use crate::error::{Error, ErrorKind};

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.put_u32(4 + body.len() as u32);
    bytes.put_slice(body);
    bytes
}

fn data_row(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u16(cells.len() as u16);
    for cell in cells {
        body.put_i32(cell.map_or(-1, |cell| cell.len() as i32));
        body.put_slice(cell.unwrap_or_default());
    }
    message(b'D', &body)
}

/// The state of a connection that has been let in and has one request outstanding.
fn running() -> ProtocolState {
    let mut state = ProtocolState::new();
    state.start(&[("user", "x")]).unwrap();
    state.receive(&message(b'Z', b"I"));
    assert!(matches!(state.next_event(), Ok(Some(Event::Message(BackendMessage::ReadyForQuery(_))))));
    state.simple_query("SELECT 1").unwrap();
    state
}

/// A whole answer with every kind of message that may be among it.
fn conversation() -> Vec<u8> {
    [
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'T', b"\0\x02a\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0b\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\x01"),
        data_row(&[Some(b"1"), None]),
        data_row(&[Some(b""), Some(b"two")]),
        message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
        message(b'A', b"\0\0\0\x07news\0text\0"),
        data_row(&[None, None]),
        message(b'C', b"SELECT 3\0"),
        message(b'E', b"SFEHLER\0VERROR\0C22012\0Mdivision\0Dd\0Hh\0P5\0Fint.c\0L12\0Rint4div\0Xunknown\0\0"),
        message(b'Z', b"E"),
    ]
    .concat()
}

/// The events without regard to how rows were batched.
fn events(
    state: &mut ProtocolState,
    rows: &mut Vec<Vec<Option<Vec<u8>>>>,
    messages: &mut Vec<BackendMessage>,
) {
    while let Some(event) = state.next_event().unwrap() {
        match event {
            Event::Rows(batch) => {
                rows.extend(
                    batch.iter().map(|row| row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect()),
                );
            }
            Event::Message(message) => messages.push(message),
        }
    }
}

#[test]
fn an_answer_cut_at_any_byte_gives_the_same_events() {
    let bytes = conversation();
    let mut whole = (Vec::new(), Vec::new());
    let mut state = running();
    state.receive(&bytes);
    events(&mut state, &mut whole.0, &mut whole.1);
    assert_eq!(whole.0.len(), 3);
    assert_eq!(whole.0[1], [Some(vec![]), Some(b"two".to_vec())]);
    assert_eq!(whole.1.len(), 4);
    for cut in 0..=bytes.len() {
        let mut parts = (Vec::new(), Vec::new());
        let mut state = running();
        for part in [&bytes[..cut], &bytes[cut..]] {
            state.receive(part);
            events(&mut state, &mut parts.0, &mut parts.1);
        }
        assert!(parts == whole, "cut at {cut}");
    }
    let mut single = (Vec::new(), Vec::new());
    let mut state = running();
    for byte in bytes {
        state.receive(&[byte]);
        events(&mut state, &mut single.0, &mut single.1);
    }
    assert!(single == whole);
    assert_eq!(state.parameter("TimeZone"), Some("UTC"));
    assert_eq!((state.transaction_status(), state.outstanding()), (TransactionStatus::Failed, 0));
    assert_eq!(state.take_notices().0[0].message, "hello");
    assert_eq!(state.take_notifications().0[0].payload, "text");
}

#[test]
fn an_error_has_its_fields_and_the_untranslated_severity() {
    let mut state = running();
    state.receive(&conversation());
    let (mut rows, mut messages) = (Vec::new(), Vec::new());
    events(&mut state, &mut rows, &mut messages);
    let Some(BackendMessage::ErrorResponse(error)) = messages.get(2) else { panic!("{messages:?}") };
    assert_eq!((error.severity.as_str(), error.code.as_str(), error.position), ("ERROR", "22012", Some(5)));
    assert_eq!(
        (error.file.as_deref(), error.line, error.routine.as_deref()),
        (Some("int.c"), Some(12), Some("int4div"))
    );
}

/// Pseudo-random bytes that are the same each time.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 32) as u8)
    })
}

#[test]
fn garbage_is_an_error_or_needs_more_and_never_panics() {
    for seed in 0..20_000 {
        let mut bytes: Vec<u8> = noise(seed).take(64).collect();
        // Half begin like a message of a known type and a small length, so that bodies are reached too.
        if seed % 2 == 0 {
            let tags = b"RKSTtDdCEINAZGHWcns123Vv";
            bytes[0] = tags[seed as usize / 2 % tags.len()];
            let length = 4 + u32::from(bytes[5]) % 50;
            bytes[1..5].copy_from_slice(&length.to_be_bytes());
        }
        for mut state in [ProtocolState::new(), running()] {
            state.receive(&bytes);
            while let Ok(Some(_)) = state.next_event() {}
        }
    }
}

#[test]
fn a_message_damaged_in_any_byte_never_panics() {
    let bytes = conversation();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let mut state = running();
            state.receive(&damaged);
            while let Ok(Some(_)) = state.next_event() {}
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_errors_as_soon_as_they_are_read() {
    for (bytes, phase) in [
        (&b"D\x40\0\0\x01"[..], Phase::Running),
        (b"Z\0\x50\0\0", Phase::Running),
        (b"E\0\x02\0\0", Phase::Startup),
        (b"D\0\0\0\x03", Phase::Running),
        (b"Z\0\0\0\0", Phase::Running),
        (b"?", Phase::Running),
        (b"\0", Phase::Startup),
    ] {
        let error = frame::peek(bytes, phase).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{bytes:?}");
    }
    assert!(matches!(frame::peek(b"D\x3f\xff\xff\xff", Phase::Running), Ok(Some((b'D', 0x3fff_fffb)))));
}

#[test]
fn a_column_count_that_promises_too_much_takes_no_memory() {
    for body in [&b"\xff\xff"[..], b"\xff\xffa\0"] {
        let frame = Frame { tag: b'T', body: Bytes::copy_from_slice(body) };
        assert!(matches!(BackendMessage::parse(frame), Err(Error::Protocol(_))));
    }
    let frame = Frame { tag: b'v', body: Bytes::from_static(b"\0\0\0\0\xff\xff\xff\xff") };
    assert!(BackendMessage::parse(frame).is_err());
}

#[test]
fn ready_without_a_request_is_an_error() {
    let mut state = running();
    state.receive(&[message(b'Z', b"I"), message(b'Z', b"I")].concat());
    assert!(state.next_event().is_ok());
    assert!(matches!(state.next_event(), Err(Error::Protocol(_))));
}

#[test]
fn rows_keep_their_cells_whether_copied_or_shared() {
    for width in [10, 3_000] {
        let cell = vec![b'x'; width];
        let mut inbound = BytesMut::new();
        for _ in 0..100 {
            inbound.extend_from_slice(&data_row(&[Some(&cell), None, Some(b"")]));
        }
        inbound.extend_from_slice(b"C\0\0");
        let (mut rows, mut batches) = (0, 0);
        loop {
            let batch = RowBatch::take(&mut inbound).unwrap();
            if batch.is_empty() {
                break;
            }
            batches += 1;
            rows += batch.len();
            for row in batch.iter() {
                assert_eq!(
                    (row.get(0), row.get(1), row.get(2), row.get(3)),
                    (Some(&cell[..]), None, Some(&b""[..]), None)
                );
                assert_eq!(row.bytes(0).as_deref(), Some(&cell[..]));
            }
        }
        assert_eq!((rows, &inbound[..]), (100, &b"C\0\0"[..]));
        assert_eq!(batches > 1, width == 3_000);
    }
}

#[test]
fn rows_of_different_width_in_one_batch_are_an_error() {
    let mut inbound = BytesMut::from(&[data_row(&[None]), data_row(&[None, None])].concat()[..]);
    assert!(RowBatch::take(&mut inbound).is_err());
}

#[test]
fn copy_data_in_small_pieces_shares_one_message() {
    let mut state = running();
    state.outbound.clear();
    for piece in ["a", "bc", "", "def"] {
        state.copy_data(piece.as_bytes());
    }
    state.copy_done();
    assert_eq!(&state.outbound[..], b"d\0\0\0\x0aabcdefc\0\0\0\x04");
}

#[test]
fn a_request_that_cannot_be_written_leaves_nothing_behind() {
    let mut state = running();
    let (outstanding, outbound) = (state.outstanding(), state.outbound.clone());
    assert!(state.simple_query("SELECT '\0'").is_err());
    assert_eq!((state.outstanding(), &state.outbound), (outstanding, &outbound));
}

fn authenticator(binding: ChannelBinding, end_point: Option<Vec<u8>>) -> Authenticator<'static> {
    Authenticator::new("user", Some("secret"), binding, end_point)
}

#[test]
fn scram_says_whether_it_binds_could_bind_or_cannot() {
    let (plain, plus) = (SCRAM_SHA_256.to_owned(), SCRAM_SHA_256_PLUS.to_owned());
    let both = vec![plain.clone(), plus.clone()];
    for (offers, binding, end_point, mechanism, flag) in [
        (&both, ChannelBinding::Prefer, Some(vec![1]), SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,"),
        (&vec![plain.clone()], ChannelBinding::Prefer, Some(vec![1]), SCRAM_SHA_256, "y,,"),
        (&both, ChannelBinding::Prefer, None, SCRAM_SHA_256, "n,,"),
        (&both, ChannelBinding::Disable, Some(vec![1]), SCRAM_SHA_256, "n,,"),
    ] {
        let mut outbound = BytesMut::new();
        let request = Authentication::Sasl(offers.clone());
        assert!(!authenticator(binding, end_point).answer(request, &mut outbound).unwrap());
        let text = String::from_utf8_lossy(&outbound[5..]);
        assert!(text.starts_with(&format!("{mechanism}\0")) && text.contains(flag), "{text}");
    }
    for offers in [vec![plus], vec!["OTHER".to_owned()], vec![]] {
        let answer = authenticator(ChannelBinding::Prefer, None)
            .answer(Authentication::Sasl(offers), &mut BytesMut::new());
        assert!(matches!(answer, Err(Error::Authentication(_))));
    }
}

#[test]
fn scram_refuses_a_nonce_that_is_not_ours_and_an_endless_count() {
    for challenge in [&b"r=other,s=c2FsdA==,i=4096"[..], b"r=,s=,i=4294967295", b"", b"\xff", b"e=no"] {
        let mut authenticator = authenticator(ChannelBinding::Prefer, None);
        let mut outbound = BytesMut::new();
        authenticator.answer(Authentication::Sasl(vec![SCRAM_SHA_256.to_owned()]), &mut outbound).unwrap();
        let challenge = Authentication::SaslContinue(Bytes::copy_from_slice(challenge));
        assert!(matches!(authenticator.answer(challenge, &mut outbound), Err(Error::Authentication(_))));
        assert!(authenticator.answer(Authentication::Ok, &mut outbound).is_err());
    }
}

#[test]
fn requests_out_of_order_are_errors() {
    let mut outbound = BytesMut::new();
    for request in [Authentication::SaslContinue(Bytes::new()), Authentication::SaslFinal(Bytes::new())] {
        assert!(authenticator(ChannelBinding::Prefer, None).answer(request, &mut outbound).is_err());
    }
    // A password must not be sent a second time, in a weaker form than the first.
    let mut asked_twice = authenticator(ChannelBinding::Prefer, None);
    asked_twice.answer(Authentication::Md5Password([1; 4]), &mut outbound).unwrap();
    assert!(asked_twice.answer(Authentication::CleartextPassword, &mut outbound).is_err());
}

/// What the fuzz target `protocol` does, without a fuzzer. `REPLICAVERSE_FUZZ_RUNS` says how often.
#[test]
fn no_mangled_conversation_makes_the_reader_panic() {
    let runs = std::env::var("REPLICAVERSE_FUZZ_RUNS").map_or(20_000, |runs| runs.parse().unwrap());
    // A small generator with a fixed seed: the same bytes each time.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound.max(1) as u64) as usize
    };
    let whole = conversation();
    for _ in 0..runs {
        let mut bytes = whole.clone();
        for _ in 0..=below(8) {
            let from = below(bytes.len() + 1);
            let to = (from + below(16)).min(bytes.len());
            match below(4) {
                0 => drop(bytes.drain(from..to)),
                1 => bytes.insert(from, below(256) as u8),
                2 if from < bytes.len() => bytes[from] = [0, 1, 4, 0x7f, 0x80, 0xff, b'D', b'Z'][below(8)],
                _ => {
                    let part = bytes[from..to].to_vec();
                    bytes.splice(from..from, part);
                }
            }
        }
        crate::fuzzing::read_as_from_a_server(&bytes);
    }
}
