//! Which results are asked for in binary form, and which statements are kept.

use std::sync::Arc;

use super::statements::PreparedStatements;
use super::*;
use crate::protocol::row::Format;

fn column(name: &str, type_oid: u32) -> Column {
    Column {
        name: name.to_owned(),
        table_oid: 0,
        column_id: 0,
        type_oid,
        type_size: -1,
        type_modifier: -1,
        format: Format::Text,
    }
}

fn formats(statements: &mut PreparedStatements, key: u64) -> Vec<Format> {
    let result = statements.get(key).and_then(|statement| statement.result.as_ref());
    let columns = result.and_then(|result| result.columns.clone());
    columns.iter().flat_map(|columns| columns.iter().map(|column| column.format)).collect()
}

#[test]
fn numbers_and_times_are_asked_for_in_binary_form_unless_the_application_reads_them_as_text() {
    let mut statements = PreparedStatements::new(4, Arc::default());
    statements.insert(1);
    let columns: Arc<[Column]> = [column("a", 23), column("b", 20), column("c", 1184)].into();
    statements.describe(1, Some(columns));
    assert_eq!(formats(&mut statements, 1), [Format::Binary, Format::Text, Format::Binary]);
    statements.set_text_types(Arc::new(TextTypes::new(vec![1184, 23])));
    assert_eq!(formats(&mut statements, 1), [Format::Text; 3]);
}

#[test]
fn the_statement_unused_for_longest_gives_way_and_is_closed() {
    let mut statements = PreparedStatements::new(2, Arc::default());
    for key in [1, 2] {
        statements.insert(key);
        statements.describe(key, None);
    }
    assert!(statements.get(1).is_some());
    statements.insert(3);
    assert!(statements.get(2).is_none() && statements.get(1).is_some());
    assert_eq!(statements.take_closing(), ["s2"]);
}

#[test]
fn a_statement_whose_description_is_on_its_way_does_not_give_way() {
    let mut statements = PreparedStatements::new(1, Arc::default());
    statements.insert(1);
    statements.insert(2);
    assert!(statements.get(1).is_some() && statements.get(2).is_some());
}

#[cfg(unix)]
mod answers {
    use bytes::BufMut;
    use tokio::net::UnixStream;

    use super::*;
    use crate::socket::{Encryption, Endpoint};

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.put_u32(4 + body.len() as u32);
        bytes.put_slice(body);
        bytes
    }

    /// A pipeline that is let in. Its peer says nothing: tests put the server's bytes in directly.
    fn pipeline() -> (Pipeline, UnixStream) {
        let (own, peer) = UnixStream::pair().unwrap();
        let mut state = ProtocolState::new();
        state.start(&[("user", "x")]).unwrap();
        state.receive(&message(b'Z', b"I"));
        assert!(state.next_event().unwrap().is_some());
        state.outbound.clear();
        let socket = Socket::Unix(own);
        let endpoint = Endpoint::Unix { path: "/nowhere".into() };
        let cancel = CancelToken::unknown(&endpoint, &Encryption::None, &socket, None);
        (Pipeline::new(socket, state, cancel, 8, Arc::default()), peer)
    }

    fn send(pipeline: &mut Pipeline, key: Option<u64>) {
        let statement =
            PipelinedStatement { key, sql: "SELECT 1", parameter_types: &[], parameters: &[0, 0, 0, 0] };
        pipeline.execute(&statement).unwrap();
    }

    /// The answer to a statement that is parsed, and to one that is known.
    fn answer(parsed: bool) -> Vec<u8> {
        let description = b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
        let mut answer = Vec::new();
        if parsed {
            answer.extend(message(b'1', b""));
            answer.extend(message(b't', b"\0\0"));
            answer.extend(message(b'T', description));
        }
        for (tag, body) in [
            (b'2', &b""[..]),
            (b'D', b"\0\x01\0\0\0\x011"),
            (b'N', b"SNOTICE\0C00000\0Mx\0\0"),
            (b'C', b"SELECT 1\0"),
            (b'Z', b"I"),
        ] {
            answer.extend(message(tag, body));
        }
        answer
    }

    fn names(pipeline: &mut Pipeline) -> Result<Vec<&'static str>> {
        let mut names = Vec::new();
        while let Some(event) = pipeline.next_event()? {
            names.push(match event {
                PipelineEvent::Columns(_) => "columns",
                PipelineEvent::Rows(_) => "rows",
                PipelineEvent::Complete => "complete",
                PipelineEvent::Failed { .. } => "failed",
                PipelineEvent::Ready(_) => "ready",
            });
        }
        Ok(names)
    }

    #[tokio::test]
    async fn answers_cut_anywhere_give_the_same_events() {
        let bytes = [answer(true), answer(false), answer(true)].concat();
        let whole = ["columns", "rows", "complete", "ready"].repeat(3);
        for cut in 0..bytes.len() {
            let (mut pipeline, _peer) = pipeline();
            send(&mut pipeline, Some(7));
            send(&mut pipeline, Some(7));
            send(&mut pipeline, None);
            let mut events = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                pipeline.state.receive(part);
                events.extend(names(&mut pipeline).unwrap());
            }
            assert_eq!(events, whole, "cut at {cut}");
            assert_eq!((pipeline.in_flight(), pipeline.command_tag()), (0, "SELECT 1"));
        }
    }

    #[tokio::test]
    async fn a_statement_sent_twice_before_it_is_known_is_parsed_once() {
        let (mut pipeline, _peer) = pipeline();
        send(&mut pipeline, Some(7));
        send(&mut pipeline, Some(7));
        let parses = pipeline.state.outbound.windows(3).filter(|bytes| *bytes == b"s1\0").count();
        assert_eq!(parses, 4, "Parse, Describe and two Binds name it");
    }

    #[tokio::test]
    async fn steps_before_a_statement_share_its_transaction_and_are_not_reported() {
        let (mut pipeline, _peer) = pipeline();
        let plain = PipelinedStatement {
            key: None,
            sql: "SELECT 0",
            parameter_types: &[],
            parameters: &[0, 0, 0, 0],
        };
        for key in [None, Some(7), Some(7)] {
            pipeline.execute_after(&[plain, plain], &PipelinedStatement { key, ..plain }).unwrap();
        }
        let syncs = pipeline.state.outbound.windows(5).filter(|bytes| *bytes == b"S\0\0\0\x04").count();
        assert_eq!(syncs, 3);
        let step = [
            message(b'1', b""),
            message(b'2', b""),
            message(b'N', b"SNOTICE\0C00000\0Mx\0\0"),
            message(b'D', b"\0\x02\0\0\0\x011\0\0\0\x012"),
            message(b'C', b"SELECT 1\0"),
        ];
        let steps = [step.concat(), step.concat()].concat();
        for parsed in [true, true, false] {
            let bytes = [&steps[..], &answer(parsed)].concat();
            let mut events = Vec::new();
            for byte in bytes {
                pipeline.state.receive(&[byte]);
                events.extend(names(&mut pipeline).unwrap());
            }
            assert_eq!(events, ["columns", "rows", "complete", "ready"]);
        }
        // A step that fails is a failure of the whole.
        pipeline.execute_after(&[plain], &PipelinedStatement { key: Some(7), ..plain }).unwrap();
        let failure = [message(b'E', b"SERROR\0C26000\0Mx\0\0"), message(b'Z', b"I")].concat();
        pipeline.state.receive(&failure);
        let Ok(Some(PipelineEvent::Failed { is_stale, .. })) = pipeline.next_event() else {
            panic!("it failed")
        };
        assert!(!is_stale, "it says nothing of the statement that is kept");
        assert_eq!(names(&mut pipeline).unwrap(), ["ready"]);
    }

    #[tokio::test]
    async fn broken_answers_are_errors_and_never_panic_or_hang() {
        let good = [answer(true), answer(false)].concat();
        // A small generator with a fixed seed: the same bytes each time.
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        for _ in 0..20_000 {
            let (mut pipeline, _peer) = pipeline();
            send(&mut pipeline, Some(7));
            send(&mut pipeline, Some(7));
            let mut bytes = good.clone();
            for _ in 0..=random(4) {
                let position = random(bytes.len());
                match random(3) {
                    0 => bytes[position] = random(256) as u8,
                    1 => drop(bytes.drain(position..)),
                    _ => {
                        let moved = bytes[random(position + 1)];
                        bytes.insert(position, moved);
                    }
                }
                bytes.push(b'Z');
            }
            pipeline.state.receive(&bytes);
            // Whatever it is: each event takes bytes, so there are not more of them than bytes.
            let mut events = 0;
            while let Ok(Some(_)) = pipeline.next_event() {
                events += 1;
                assert!(events <= bytes.len());
            }
        }
    }
}
