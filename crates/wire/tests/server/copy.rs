//! COPY both ways, as text and binary.

use bytes::Bytes;
use wire::copy::{BinaryCopyReader, BinaryCopyWriter};
use wire::{Connection, ErrorKind, Format, TransactionStatus};

use crate::{connect, over_tcp, value};

const ROWS: i32 = 100_000;

async fn table(connection: &mut Connection) {
    connection.simple_query("CREATE TEMP TABLE target (i int PRIMARY KEY, t text)").await.unwrap();
}

async fn read_all(connection: &mut Connection, sql: &str) -> (Vec<Bytes>, u64) {
    let mut copy = connection.copy_out(sql).await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = copy.next().await.unwrap() {
        chunks.push(chunk);
    }
    let rows = copy.rows().unwrap();
    assert!(copy.next().await.unwrap().is_none());
    (chunks, rows)
}

#[tokio::test]
async fn binary_rows_go_in_and_come_out_the_same() {
    let mut connection = connect().await;
    table(&mut connection).await;
    let mut copy = connection.copy_in("COPY target FROM STDIN (FORMAT binary)").await.unwrap();
    assert_eq!((copy.format(), copy.columns()), (Format::Binary, 2));
    let mut writer = BinaryCopyWriter::new();
    for i in 0..ROWS {
        let mut row = writer.row();
        row.field(&i.to_be_bytes());
        if i % 7 == 0 {
            row.null()
        } else {
            row.field(format!("row {i}").as_bytes())
        }
        row.finish().unwrap();
        if writer.len() >= 64 << 10 {
            copy.send(writer.take()).await.unwrap();
        }
    }
    copy.send(writer.finish()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), ROWS as u64);

    let (chunks, rows) = read_all(&mut connection, "COPY target TO STDOUT (FORMAT binary)").await;
    assert_eq!(rows, ROWS as u64);
    assert!(chunks[..chunks.len() - 1].iter().all(|chunk| (64 << 10..80 << 10).contains(&chunk.len())));
    let mut reader = BinaryCopyReader::new();
    let mut next = 0_i32;
    for chunk in chunks {
        reader.push(chunk);
        while let Some(row) = reader.next_row().unwrap() {
            assert_eq!(row.get(0), Some(&next.to_be_bytes()[..]));
            let text = row.get(1).map(<[u8]>::to_vec);
            assert_eq!(text, (next % 7 != 0).then(|| format!("row {next}").into_bytes()));
            next += 1;
        }
    }
    reader.finish().unwrap();
    assert_eq!(next, ROWS);
}

#[tokio::test]
async fn text_goes_through_tls_in_pieces_cut_anywhere() {
    let mut connection = Connection::connect(&over_tcp("trusted", "sslmode=require")).await.unwrap();
    table(&mut connection).await;
    let text: String = (0..20_000).map(|i| format!("{i}\tline {i}\n")).collect();
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    for piece in text.as_bytes().chunks(13) {
        copy.send(piece).await.unwrap();
    }
    assert_eq!(copy.finish().await.unwrap(), 20_000);
    let (chunks, rows) = read_all(&mut connection, "COPY (SELECT * FROM target ORDER BY i) TO STDOUT").await;
    assert_eq!((rows, chunks.concat()), (20_000, text.into_bytes()));
}

#[tokio::test]
async fn a_piece_longer_than_any_message_is_split() {
    let mut connection = connect().await;
    table(&mut connection).await;
    let long = "y".repeat(40 << 20);
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    copy.send(format!("1\t{long}\n")).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 1);
    assert_eq!(value(&mut connection, "SELECT length(t) FROM target").await, (40 << 20).to_string());
    let (chunks, _) = read_all(&mut connection, "COPY target TO STDOUT").await;
    assert_eq!(chunks.concat().len(), (40 << 20) + 3);
}

#[tokio::test]
async fn rows_the_server_rejects_end_the_copy_and_leave_nothing() {
    let mut connection = connect().await;
    table(&mut connection).await;
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    copy.send("1\ta\nx\tb\n").await.unwrap();
    let error = copy.finish().await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("22P02"));
    assert!(error.server().unwrap().where_.as_deref().unwrap().contains("line 2"));

    // The server says so in the middle: sending must notice, however much there is to send.
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    copy.send("x\tb\n").await.unwrap();
    let piece = "7\tz\n".repeat(50_000);
    let error = loop {
        if let Err(error) = copy.send(&piece).await {
            break error;
        }
    };
    assert_eq!(error.sqlstate(), Some("22P02"));
    assert_eq!(copy.send("8\tz\n").await.unwrap_err().kind(), ErrorKind::Closed);
    drop(copy);
    assert_eq!(value(&mut connection, "SELECT count(*) FROM target").await, "0");
}

#[tokio::test]
async fn a_copy_that_is_failed_or_dropped_leaves_nothing() {
    let mut connection = connect().await;
    table(&mut connection).await;
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    copy.send("1\ta\n").await.unwrap();
    copy.fail("the source\0broke").await.unwrap();
    let mut copy = connection.copy_in("COPY target FROM STDIN").await.unwrap();
    copy.send("1\ta\n".repeat(100_000)).await.unwrap();
    drop(copy);
    assert_eq!(value(&mut connection, "SELECT count(*) FROM target").await, "0");
    assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
    assert!(!connection.is_broken());
}

#[tokio::test]
async fn a_copy_out_that_is_dropped_or_fails_leaves_the_connection_usable() {
    let mut connection = connect().await;
    let mut copy = connection.copy_out("COPY (SELECT generate_series(1, 500000)) TO STDOUT").await.unwrap();
    assert!(copy.next().await.unwrap().is_some());
    drop(copy);
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");

    let sql = "COPY (SELECT 1 / (90000 - i) FROM generate_series(1, 100000) i) TO STDOUT";
    let mut copy = connection.copy_out(sql).await.unwrap();
    let error = loop {
        match copy.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the copy ended without its error"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));
    assert_eq!(value(&mut connection, "SELECT 2").await, "2");
}

#[tokio::test]
async fn statements_in_the_wrong_place_are_refused() {
    let mut connection = connect().await;
    table(&mut connection).await;
    let (to, from) = ("COPY target TO STDOUT", "COPY target FROM STDIN");
    assert_eq!(connection.copy_in("SELECT 1").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(connection.copy_in(to).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(connection.copy_out(from).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(connection.copy_out("COPY nothing TO STDOUT").await.unwrap_err().sqlstate(), Some("42P01"));
    assert_eq!(connection.query(from, &[]).await.unwrap_err().sqlstate(), Some("57014"));
    assert_eq!(connection.query(to, &[]).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(connection.simple_query(from).await.unwrap_err().sqlstate(), Some("57014"));
    assert_eq!(connection.simple_query(to).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
}

#[tokio::test]
async fn notices_in_the_middle_of_the_data_do_not_disturb_it() {
    let mut connection = connect().await;
    connection
        .simple_query(
            "CREATE FUNCTION pg_temp.loud(i int) RETURNS int LANGUAGE plpgsql AS \
             $$ BEGIN IF i % 100 = 0 THEN RAISE NOTICE 'at %', i; END IF; RETURN i; END $$",
        )
        .await
        .unwrap();
    let sql = "COPY (SELECT pg_temp.loud(i) FROM generate_series(1, 20000) i) TO STDOUT";
    let (chunks, rows) = read_all(&mut connection, sql).await;
    let expected: String = (1..=20_000).map(|i| format!("{i}\n")).collect();
    assert_eq!((rows, chunks.concat()), (20_000, expected.into_bytes()));
    assert_eq!(connection.take_notices().0.len(), 200);
}
